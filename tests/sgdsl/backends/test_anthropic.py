from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

import sgdsl as sg

Make = Callable[..., sg.Anthropic]


@pytest.fixture
def claude(server: Any) -> Iterator[Make]:
    made: list[sg.Anthropic] = []

    def make(**options: Any) -> sg.Anthropic:
        backend = sg.Anthropic("m", api_key="k", base_url=server.url, max_retries=0, **options)
        made.append(backend)
        return backend

    yield make
    for backend in made:
        backend.close()


@sg.function
def ask(s: sg.ProgramState, expr: sg.Expr) -> None:
    s += sg.system("Be brief.") + sg.system("Be kind.") + sg.user("What?") + sg.assistant(expr)


def test_a_message(server: Any, reply: Any, claude: Make) -> None:
    server.replies = [reply(["Well", ", ", "fine"])]
    state = ask.run(sg.gen("x", 16), backend=claude())
    assert state["x"] == "Well, fine"
    assert server.request == {
        "path": "/v1/messages", "model": "m", "stream": True, "max_tokens": 16, "system": "Be brief.\n\nBe kind.",
        "messages": [{"role": "user", "content": "What?"}],
    }  # fmt: skip
    assert (server.headers[0].get("X-Api-Key") or server.headers[0]["Authorization"]).endswith("k")
    meta = state.get_meta_info("x")
    assert (meta["prompt_tokens"], meta["cached_tokens"], meta["completion_tokens"]) == (9, 3, 6)
    assert state.messages()[0] == {"role": "system", "content": "Be brief."}


def test_every_field_the_api_has(server: Any, reply: Any, claude: Make) -> None:
    server.replies = [reply(["a"], "stop_sequence", choice={"stop_sequence": "END"})]
    gen = sg.gen("x", stop=["END", "\n"], temperature=0.5, top_p=0.9, top_k=7)
    state = ask.run(gen, backend=claude(extra_body={"thinking": {"type": "disabled"}}))
    sent = server.request
    assert sent["stop_sequences"] == ["END"]
    assert (sent["temperature"], sent["top_p"], sent["top_k"], sent["max_tokens"]) == (0.5, 0.9, 7, 128)
    assert sent["thinking"] == {"type": "disabled"}
    assert state.get_meta_info("x")["matched_stop"] == "END"


def test_models_that_take_no_temperature(server: Any, reply: Any, claude: Make) -> None:
    server.answer = lambda body: reply('{"answer": "a"}')
    backend = claude(fixed_sampling=True)
    ask.run(sg.select("x", ["a", "b"]), backend=backend)
    assert "temperature" not in server.request
    with pytest.raises(sg.BackendCapabilityError, match=r"temperature=0\.5"):
        ask.run(sg.gen("x", temperature=0.5), backend=backend)


def test_stops_the_api_does_not_take(server: Any, reply: Any, claude: Make) -> None:
    server.replies = [reply(["a\n", "b"], hangs=True)]
    assert ask.run(sg.gen("x", stop="\n"), backend=claude())["x"] == "a"
    assert server.aborted.wait(5)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seed": 1}, "seed=1"),
        ({"frequency_penalty": 0.5}, "frequency_penalty=0.5"),
        ({"logit_bias": {1: 2}}, "logit_bias="),
        ({"return_logprob": True}, "return_logprob=True"),
        ({"regex": "a"}, "constrained by Regex"),
        ({"min_tokens": 3}, "min_tokens=3"),
    ],
)
def test_what_the_api_has_no_field_for(claude: Make, options: dict[str, Any], named: str) -> None:
    with pytest.raises(sg.BackendCapabilityError, match=f"{named}.*the Anthropic backend"):
        ask.run(sg.gen("x", **options), backend=claude())


def test_schemas_and_choices(server: Any, reply: Any, claude: Make) -> None:
    server.replies = [reply('{"n": 3}'), reply('{"answer": "b"}'), reply('{"answer": "a"}')]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    backend = claude(max_tokens=99)
    assert ask.run(sg.gen("x", json_schema=schema), backend=backend)["x"] == '{"n": 3}'
    assert server.request["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    state = ask.run(sg.select("x", ["a", "b"]), backend=backend)
    assert (state["x"], state.get_meta_info("x")["choices_method"]) == ("b", "constrained_greedy")
    assert server.requests[1]["max_tokens"] == 99
    assert server.requests[1]["temperature"] == 0
    assert ask.run(sg.gen("x", type=Literal["a", "b"]), backend=backend)["x"] == "a"
    with pytest.raises(sg.BackendCapabilityError):
        ask.run(sg.select("x", ["a", "b"]), backend=claude(structured=False))


@pytest.mark.parametrize(
    ("written", "text"), [([" ", " poet"], "poet"), (["po", "et"], "poet"), ([" ", "\npoet"], "\npoet")]
)
def test_a_message_that_has_begun(server: Any, reply: Any, claude: Make, written: list[str], text: str) -> None:
    server.replies = [reply(written)]
    state = ask.run("Job:  " + sg.gen("x"), backend=claude(prefill=True))
    assert server.request["messages"][-1] == {"role": "assistant", "content": "Job:"}
    assert state["x"] == text
    server.requests.clear()
    server.replies = [reply(["\n\nfine"])]
    assert ask.run("\n" + sg.gen("x"), backend=claude(prefill=True))["x"] == "\nfine"
    assert server.request["messages"][-1]["role"] == "user"
    with pytest.raises(sg.BackendCapabilityError, match="behind other text of an assistant message"):
        ask.run("Job: " + sg.gen("x"), backend=claude())


def test_images(server: Any, claude: Make) -> None:
    @sg.function
    def look(s: sg.ProgramState) -> None:
        s += sg.user("a" + sg.image(b"\xff\xd8\xff") + sg.image("https://example.org/b.jpg")) + sg.assistant(
            sg.gen("x")
        )

    look.run(backend=claude())
    assert server.request["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/b.jpg"}},
    ]


@pytest.mark.parametrize("reason", ["refusal", "tool_use", "pause_turn"])
def test_answers_that_were_withheld(server: Any, reply: Any, claude: Make, reason: str) -> None:
    server.replies = [reply("a", reason)]
    with pytest.raises(sg.ProgramError, match=f"stop_reason='{reason}'"):
        ask.run(sg.gen("x"), backend=claude())


def test_a_system_message_further_on(claude: Make) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.user("a") + sg.system("b") + sg.assistant(sg.gen("x"))

    with pytest.raises(sg.ProgramError, match="system messages at the beginning only"):
        program.run(backend=claude())


def test_one_call_for_several_gens(server: Any, reply: Any, claude: Make) -> None:
    server.replies = [reply("Name: Ada\nJob: poet")]

    @sg.function(num_api_spec_tokens=64)
    def form(s: sg.ProgramState) -> None:
        s += sg.user("Who?") + sg.assistant("Name:" + sg.gen("name", stop="\n") + "\nJob:" + sg.gen("job"))

    state = form.run(backend=claude())
    assert (state["name"], state["job"], len(server.requests)) == (" Ada", " poet", 1)


def test_arguments_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, named in (
        ({"model": ""}, "model=''"),
        ({"model": "m", "max_tokens": 0}, "max_tokens=0"),
        ({"model": "m", "client": object(), "api_key": "k"}, "client=…"),
        ({"model": "m", "api_key": "k", "tiemout": 3}, "tiemout"),
    ):
        with pytest.raises(sg.InvalidArgument, match=named):
            sg.Anthropic(**arguments)  # type: ignore[arg-type]
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    with pytest.raises(sg.NotSupported, match=r"pip install 'sgdsl\[anthropic\]'"):
        sg.Anthropic("m", api_key="k")
