from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sgdsl as sg
from runtime.errors import RequestError

Make = Callable[..., sg.OpenAI]


def pieces(text: str) -> list[str]:
    """One character a piece, so that a piece is a token."""
    return list(text)


@sg.function(num_api_spec_tokens=64)
def form(s: sg.ProgramState, who: str = "x") -> None:
    s += f"About {who}.\nName:" + sg.gen("name", 16, stop="\n") + "\nBirthday:" + sg.gen("birthday", 16, stop="\n")
    s += "\nJob:" + sg.gen("job", 8, stop="\n")


def test_one_completion_serves_all_gens_that_it_agrees_with(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(pieces(" Ada\nBirthday: 1815\nJob: poet\nMore"), "length")]
    state = form.run(backend=openai(is_chat_model=False))
    assert (state["name"], state["birthday"], state["job"]) == (" Ada", " 1815", " poet")
    assert server.request["max_tokens"] == 64
    assert "stop" not in server.request
    assert state.text() == "About x.\nName: Ada\nBirthday: 1815\nJob: poet"
    assert state.usage() == sg.Usage(gens=3, prompt_tokens=7, cached_tokens=5, generated_tokens=3, saved_calls=2)
    assert "written_ahead" not in state.get_meta_info("name")
    assert state.get_meta_info("job")["written_ahead"] is True
    assert state.get_meta_info("job")["matched_stop"] == "\n"


def test_another_call_from_where_the_program_goes_its_own_way(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [
        reply(pieces(" Ada\nBorn: 1815"), "stop"),
        reply(pieces(" 1815\nJob:"), "stop"),
        reply(pieces(" mathematician"), "length"),
    ]
    state = form.run(backend=openai(is_chat_model=False))
    assert (state["name"], state["birthday"], state["job"]) == (" Ada", " 1815", " mathema")
    assert [request["prompt"] for request in server.requests] == [
        "About x.\nName:", "About x.\nName: Ada\nBirthday:", "About x.\nName: Ada\nBirthday: 1815\nJob:",
    ]  # fmt: skip
    assert state.get_meta_info("job")["finish_reason"] == "length"


def test_gens_that_sample_differently_or_are_constrained_have_calls_of_their_own(
    server: Any, reply: Any, openai: Make
) -> None:
    @sg.function(num_api_spec_tokens=8)
    def program(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x", stop=";") + ";" + sg.gen("y", temperature=0.5) + sg.gen("z", regex="[0-9]")

    server.replies = [reply("b;c"), reply("d"), reply("7")]
    state = program.run(backend=openai(is_chat_model=False, extra="vllm"))
    assert state.text() == "ab;d7"
    assert [request["prompt"] for request in server.requests] == ["a", "ab;", "ab;d"]
    assert state.usage().saved_calls == 0


def test_each_stream_has_its_own(server: Any, reply: Any, openai: Make) -> None:
    def answer(body: Any) -> Any:
        who = body["prompt"].split(".")[0].removeprefix("About ")
        return reply(pieces(f" {who}\nBirthday: {who}\nJob: {who}\n"))

    server.answer = answer
    states = form.run_batch([(str(number),) for number in range(30)], backend=openai(is_chat_model=False))
    for number, state in enumerate(states):
        assert [state[name] for name in ("name", "birthday", "job")] == [f" {number}"] * 3
    assert len(server.requests) == 30


def test_forks_and_samples_write_anew_and_rollbacks_forget(server: Any, reply: Any, openai: Make) -> None:
    @sg.function(num_api_spec_tokens=8)
    def program(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x", stop=";")
        point = s.checkpoint()
        forks = s.fork(2)
        forks += ";" + sg.gen("f", stop=";")
        forks.join()
        s += ";" + sg.gen("own", stop=";")
        assert (s["own"], sorted(s["f"])) == ("rest", ["1", "2"])
        s.rollback(point)
        s += ";" + sg.gen("again", 4, n=2)

    count = iter(range(100))
    server.answer = lambda body: reply(f"{next(count)};rest")
    state = program.run(backend=openai(is_chat_model=False))
    assert state["x"] == "0"
    assert state.text().startswith("a0;")
    assert sorted(state["again"]) == ["3;rest", "4;rest"]
    assert len(server.requests) == 5


@sg.function(num_api_spec_tokens=64)
def chat_form(s: sg.ProgramState) -> None:
    s += sg.user("Who?")
    s += sg.assistant("Name:" + sg.gen("name", stop="\n") + "\nJob:" + sg.gen("job"))


def test_a_chat_writes_the_whole_message(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply("I am Ada"), reply("Name: Ada, Job: poet"), reply("Name: Ada\nJob: poet")]
    state = chat_form.run(backend=openai())
    assert (state["name"], state["job"]) == (" Ada", " poet")
    assert [request["messages"] for request in server.requests] == [[{"role": "user", "content": "Who?"}]] * 3
    assert state.messages()[1]["content"] == "Name: Ada\nJob: poet"


def test_after_the_last_try_the_error_says_what_was_written(server: Any, reply: Any, openai: Make) -> None:
    server.answer = lambda body: reply("I am Ada")
    with pytest.raises(sg.ProgramError, match=r"in 3 tries .* behind 'Name:'; the last one was 'I am Ada'") as caught:
        chat_form.run(backend=openai())
    assert isinstance(caught.value.__cause__, RequestError)
    assert len(server.requests) == 3


def test_what_was_read_in_mid_message_stands(server: Any, reply: Any, openai: Make) -> None:
    @sg.function(num_api_spec_tokens=64)
    def program(s: sg.ProgramState, going_on: str) -> None:
        s += sg.user("Who?")
        with s.assistant():
            s += sg.gen("name", stop="\n")
            assert s["name"] == "Ada"
            s += going_on + sg.gen("job")

    server.answer = lambda body: reply("Ada\nJob: poet")
    backend = openai()
    state = program.run("\nJob:", backend=backend)
    assert state["job"] == " poet"
    assert len(server.requests) == 1
    with pytest.raises(sg.ProgramError, match=r"in 3 tries"):
        program.run("\nAge:", backend=backend)
    assert len(server.requests) == 5


def test_a_chat_that_goes_on_needs_no_tries(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(" Ada\nAge: 3"), reply(" poet")]
    state = chat_form.run(backend=openai(prefill=True))
    assert (state["name"], state["job"]) == (" Ada", " poet")
    assert server.requests[1]["messages"][-1] == {"role": "assistant", "content": "Name: Ada\nJob:"}


def test_without_it_the_program_is_told(openai: Make) -> None:
    with pytest.raises(sg.BackendCapabilityError, match=r"num_api_spec_tokens=…\) may help"):
        sg.function(chat_form.func).run(backend=openai())


def test_failures_and_cancellation(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(status=500), reply(["a"], hangs=True)]
    backend = openai(is_chat_model=False)
    with pytest.raises(sg.ProgramError, match="status 500"):
        form.run(backend=backend)
    server.arrived.clear()
    state = form.run(backend=backend, stream=True)
    assert server.arrived.wait(5)
    state.cancel()
    assert server.aborted.wait(5)


@pytest.mark.parametrize("number", [0, -1, 1.5, "8"])
def test_numbers_that_are_none(number: Any) -> None:
    with pytest.raises(sg.InvalidArgument, match="num_api_spec_tokens="):
        sg.function(num_api_spec_tokens=number)
