from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.backends.cached import Cached
from sgdsl.tracing import Spans

Make = Callable[..., sg.OpenAI]


@sg.function
def ask(s: sg.ProgramState, expr: sg.Expr, question: str = "What?") -> None:
    s += sg.system("Be brief.") + sg.user(question) + sg.assistant(expr)


@sg.function
def complete(s: sg.ProgramState, expr: sg.Expr) -> None:
    s += "Once upon" + expr


def test_a_chat(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["Well", ", ", "fine"])]
    state = ask.run(sg.gen("x", 16), backend=openai())
    assert state["x"] == "Well, fine"
    assert server.request == {
        "path": "/v1/chat/completions", "model": "m", "stream": True, "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What?"}],
        "temperature": 1.0, "max_tokens": 16,
    }  # fmt: skip
    assert server.headers[0]["Authorization"] == "Bearer k"
    assert state.messages() == [*server.request["messages"], {"role": "assistant", "content": "Well, fine"}]
    meta = state.get_meta_info("x")
    assert (meta["prompt_tokens"], meta["cached_tokens"], meta["completion_tokens"]) == (7, 5, 3)
    assert meta["finish_reason"] == "stop"
    assert state.usage() == sg.Usage(gens=1, prompt_tokens=7, cached_tokens=5, generated_tokens=3)


def test_stops_beyond_the_servers_own(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["one", "; tw", "o. three", "more"], hangs=True), reply(["a1", "23b"], hangs=True)]
    backend = openai()
    stops = ["v", "w.", "x", "y", "o."]
    state = ask.run(sg.gen("x", stop=stops), backend=backend)
    assert server.request["stop"] == stops[:4]
    assert state["x"] == "one; tw"
    assert state.get_meta_info("x")["matched_stop"] == "o."
    assert server.aborted.wait(5)
    state = ask.run(sg.gen("x", stop_regex="[0-9]+b"), backend=backend)
    assert state["x"] == "a"
    assert state.get_meta_info("x")["matched_stop"] == "[0-9]+b"


def test_stops_the_server_took_care_of(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a", "b\n"], choice={"stop_reason": "END"})]
    state = ask.run(sg.gen("x", stop="\n\n"), backend=openai(extra="vllm"))
    assert state["x"] == "ab\n"
    assert state.get_meta_info("x")["matched_stop"] == "END"


def test_log_probabilities(server: Any, reply: Any, openai: Make) -> None:
    def content(token: str, logprob: float) -> dict[str, Any]:
        top = [{"token": token, "logprob": logprob, "bytes": None}, {"token": "Z", "logprob": -9.0, "bytes": None}]
        return {"content": [{"token": token, "logprob": logprob, "bytes": None, "top_logprobs": top}]}

    server.replies = [
        reply(["Hi", " you", "."], logprobs=[content("Hi", -0.1), content(" you", -0.2), content(".", -1)])
    ]
    gen = sg.gen("x", return_logprob=True, top_logprobs_num=2, return_text_in_logprobs=True, stop=".")
    meta = ask.run(gen, backend=openai()).get_meta_info("x")
    assert [(p, text) for p, _, text in meta["output_token_logprobs"]] == [(-0.1, "Hi"), (-0.2, " you")]
    assert [text for _, _, text in meta["output_top_logprobs"][1]] == [" you", "Z"]
    found = {
        "tokens": ["a", " b"],
        "token_logprobs": [-1, -2],
        "top_logprobs": [{"a": -1, "c": -3}] * 2,
        "text_offset": [],
    }
    server.replies = [reply(["a b"], logprobs=[found])]
    meta = complete.run(gen, backend=openai(is_chat_model=False)).get_meta_info("x")
    assert [(p, text) for p, _, text in meta["output_token_logprobs"]] == [(-1, "a"), (-2, " b")]
    assert [text for _, _, text in meta["output_top_logprobs"][0]] == ["a", "c"]


def test_samples_are_requests(server: Any, reply: Any, openai: Make) -> None:
    server.answer = lambda body: reply(f"s{body['seed']}")
    state = ask.run(sg.gen("x", n=3, seed=4), backend=openai())
    assert state["x"] == ["s4", "s5", "s6"]
    assert all("n" not in request for request in server.requests)


def test_places_a_chat_has_none_for(openai: Make) -> None:
    @sg.function
    def outside(s: sg.ProgramState) -> None:
        s += sg.user("a") + "\n" + sg.gen("x")

    @sg.function
    def stray(s: sg.ProgramState) -> None:
        s += "a" + sg.user("b")

    @sg.function
    def user(s: sg.ProgramState) -> None:
        s += sg.user("a" + sg.gen("x"))

    @sg.function
    def behind(s: sg.ProgramState) -> None:
        with s.assistant():
            s += "Team: "
            s += sg.select("x", ["a", "b"])

    for program, named in (
        (outside, "gen outside a chat message"),
        (stray, "text outside a chat message"),
        (user, "gen inside a user message"),
        (behind, "select behind other text of an assistant message"),
    ):
        with pytest.raises(sg.BackendCapabilityError, match=named):
            program.run(backend=openai())


def test_compiled_programs(server: Any, reply: Any, openai: Make) -> None:
    @sg.function
    def program(s: sg.ProgramState, question: str) -> None:
        s += sg.user(question) + sg.assistant(sg.gen("x"))
        s += sg.user("Sure of " + s["x"] + "?") + sg.assistant(sg.gen("y"))

    server.answer = lambda body: reply(body["messages"][-1]["content"].upper())
    state = program.compile().run("who?", backend=openai())
    assert (state["x"], state["y"]) == ("WHO?", "SURE OF WHO??")
    assert [message["role"] for message in server.requests[1]["messages"]] == ["user", "assistant", "user"]

    @sg.function
    def behind(s: sg.ProgramState, name: str) -> None:
        s += sg.user("?") + sg.assistant(sg.gen("x"))
        with s.assistant():
            s += s["x"]
            s += sg.gen("y")

    with pytest.raises(sg.BackendCapabilityError, match="behind other text of an assistant message"):
        behind.compile().run("a", backend=openai())


def test_prefill_where_the_server_goes_on(server: Any, openai: Make) -> None:
    expr = "Team: " + sg.gen("x")
    state = ask.run(expr, backend=openai(prefill=True))
    assert server.request["messages"][-1] == {"role": "assistant", "content": "Team: "}
    assert "continue_final_message" not in server.request
    assert state.messages()[-1]["content"] == "Team: fine"
    for extra in ("sglang", "vllm", "llamacpp"):
        server.requests.clear()
        ask.run(expr, backend=openai(extra=extra))
        assert server.request["continue_final_message"] is True
        assert ("add_generation_prompt" in server.request) == (extra != "sglang")
        server.requests.clear()
        ask.run(sg.gen("x"), backend=openai(extra=extra))
        assert "continue_final_message" not in server.request


def test_completions_write_messages_as_their_template_does(server: Any, openai: Make) -> None:
    state = ask.run(sg.gen("x"), backend=openai(is_chat_model=False, chat_template="llama-3"))
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    prompt = f"<|begin_of_text|>{head.format('system')}Be brief.<|eot_id|>{head.format('user')}What?<|eot_id|>"
    assert server.request["prompt"] == prompt + head.format("assistant")
    assert state.text() == server.request["prompt"] + "fine<|eot_id|>"


def test_forks_copies_and_rollbacks(server: Any, reply: Any, openai: Make) -> None:
    server.answer = lambda body: reply(body["prompt"][-3:].upper())

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "abc" + sg.gen("root")
        forks = s.fork(2)
        forks[0] += "def" + sg.gen("leaf")
        forks[1] += "ghi" + sg.gen("leaf")
        forks.join()
        point = s.checkpoint()
        s += "xyz" + sg.gen("gone")
        s.sync()
        s.rollback(point)
        s += "uvw" + sg.gen("kept")

    state = program.run(backend=openai(is_chat_model=False))
    assert (state["root"], state["leaf"], state["kept"]) == ("ABC", ["DEF", "GHI"], "UVW")
    assert state.text() == "abcABCuvwUVW"
    prompts = [request["prompt"] for request in server.requests]
    assert prompts[0] == "abc"
    assert sorted(prompts[1:3]) == ["abcABCdef", "abcABCghi"] or "abcABCxyz" in prompts[1:3]
    assert prompts[-1] == "abcABCuvw"
    assert "gone" not in state


def test_answers_that_are_kept(server: Any, reply: Any, openai: Make, tmp_path: Path) -> None:
    count = iter(range(100))
    server.answer = lambda body: reply(["", f"{next(count)}"] if "c" in body["prompt"] else "")

    @sg.function
    def program(s: sg.ProgramState, end: str) -> str:
        s += "a" + sg.gen("nothing", temperature=0)
        point = s.checkpoint()
        s += "b"
        s.sync()
        s.rollback(point)
        s += "c" + sg.gen("x", temperature=0)
        s += end + sg.gen("y", temperature=0)
        return s.text()

    first, second = openai(is_chat_model=False), openai(is_chat_model=False, extra_body={"user": "other"})
    with Cached(first, tmp_path / "kept") as kept:
        assert program.run("d", backend=kept).ret_value == "ac0d1"
        assert program.run("d", backend=kept).ret_value == "ac0d1"
        assert program.run("e", backend=kept).ret_value == "ac0e2"
    with Cached(second, tmp_path / "kept") as kept:
        assert program.run("d", backend=kept).ret_value == "ac3d4"
    assert [request["prompt"] for request in server.requests] == ["a", "ac", "ac0d", "ac0e", "a", "ac", "ac3d"]


def test_tokens_there_are_none(openai: Make) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a"
        s.tokens()

    with pytest.raises(sg.BackendCapabilityError, match="tokens is not something the OpenAI backend"):
        program.run(backend=openai(is_chat_model=False))
    with pytest.raises(sg.BackendCapabilityError, match="cache is not something"):
        complete.cache(backend=openai(is_chat_model=False))


def test_a_batch_keeps_to_its_concurrency(server: Any, reply: Any, openai: Make) -> None:
    server.answer = lambda body: reply(body["messages"][1]["content"], waits=0.02)
    items = [{"expr": sg.gen("x"), "question": str(number)} for number in range(24)]
    backend = openai(concurrency=4)
    states = ask.run_batch(items, backend=backend, num_threads=12)
    assert [state["x"] for state in states] == [str(number) for number in range(24)]
    assert 1 < server.most_at_once <= 4


async def test_an_async_program_streams(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a", "b", "c"])]

    @sg.function
    async def program(s: sg.ProgramState) -> str:
        s += sg.user("x") + sg.assistant(sg.gen("x"))
        return "".join([piece async for piece in s.text_async_iter("x")])

    assert (await program.arun(backend=openai())).ret_value == "abc"


def test_pieces_come_as_they_are_written(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(["a", "b", "c"])]
    state = ask.run(sg.gen("x"), backend=openai(), stream=True)
    assert list(state.text_iter("x")) == ["a", "b", "c"]


def test_images(server: Any, openai: Make) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(8)

    @sg.function
    def look(s: sg.ProgramState) -> None:
        s += sg.user("Look: " + sg.image(png) + " and " + sg.image("https://example.org/b.jpg") + "?")
        s += sg.assistant(sg.gen("x"))

    state = look.run(backend=openai())
    content = server.request["messages"][0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "text", "image_url", "text"]
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert content[3]["image_url"]["url"] == "https://example.org/b.jpg"
    assert state.messages()[0] == {"role": "user", "content": content}
    with pytest.raises(sg.BackendCapabilityError, match="image is not something the OpenAI backend"):
        look.run(backend=openai(is_chat_model=False))


def test_further_fields_and_a_client_of_ones_own(server: Any, openai: Make) -> None:
    ask.run(sg.gen("x"), backend=openai(extra_body={"reasoning_effort": "low"}))
    assert server.request["reasoning_effort"] == "low"
    import openai as package

    client = package.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="own", default_headers={"X-Mine": "1"})
    with sg.OpenAI("m", client=client) as backend:
        ask.run(sg.gen("x"), backend=backend)
        assert server.headers[1]["X-Mine"] == "1"


def test_arguments_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for arguments, named in (
        ({"model": ""}, "model=''"),
        ({"model": "m", "extra": "tgi"}, "extra='tgi'"),
        ({"model": "m", "client": object(), "base_url": "http://x"}, "client=…"),
        ({"model": "m", "concurrency": 0, "api_key": "k"}, "concurrency=0"),
        ({"model": "m", "chat_template": "nonsense", "api_key": "k"}, "chat_template"),
        ({"model": "m"}, "api_key"),
        ({"model": "m", "api_key": "k", "tiemout": 3}, "tiemout"),
    ):
        with pytest.raises(sg.InvalidArgument, match=named):
            sg.OpenAI(**arguments)  # type: ignore[arg-type]


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(sg.NotSupported, match=r"pip install 'sgdsl\[openai\]'"):
        sg.OpenAI("m", api_key="k")


def test_which_models_are_asked_with_messages() -> None:
    for model, is_chat in (("gpt-3.5-turbo-instruct", False), ("gpt-4.1", True), ("anything", True)):
        with sg.OpenAI(model, api_key="k") as backend:
            assert backend.capabilities.roles is is_chat
            assert json.dumps(sorted(backend.capabilities.constraints)) == (
                '["Choice", "JsonObject", "JsonSchema"]' if is_chat else "[]"
            )


@pytest.mark.parametrize("is_chat", [True, False])
def test_the_server_is_told_which_program_calls(server: Any, openai: Make, exporter: Any, is_chat: bool) -> None:
    program = ask if is_chat else complete
    program.run(sg.gen("x"), backend=openai(is_chat_model=is_chat))
    program.run(sg.gen("x"), backend=openai(is_chat_model=is_chat), record=Spans())
    assert "traceparent" not in server.headers[0]
    run = next(span for span in exporter.get_finished_spans() if span.name.startswith("program"))
    context = run.get_span_context()
    assert server.headers[1]["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
