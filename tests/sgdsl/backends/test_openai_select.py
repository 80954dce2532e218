from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sgdsl as sg

Make = Callable[..., sg.OpenAI]


@sg.function
def ask(s: sg.ProgramState, expr: sg.Expr, question: str = "What?") -> None:
    s += sg.system("Be brief.") + sg.user(question) + sg.assistant(expr)


@sg.function
def complete(s: sg.ProgramState, expr: sg.Expr) -> None:
    s += "Once upon" + expr


def test_a_select_in_a_chat_is_held_to_the_choices_and_says_so(server: Any, reply: Any, openai: Make) -> None:
    server.replies = [reply(['{"ans', 'wer": "sales"}'])]
    state = ask.run(sg.select("team", ["billing", "sales"]), backend=openai())
    assert state["team"] == "sales"
    schema = server.request["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"answer": {"type": "string", "enum": ["billing", "sales"]}}
    assert server.request["temperature"] == 0
    assert "logprobs" not in server.request
    meta = state.get_meta_info("team")
    assert (meta["choices_method"], meta["index"]) == ("constrained_greedy", 1)
    assert "scores" not in meta
    assert list(state.text_iter("team")) == ["sales"]


@pytest.mark.parametrize("answer", ["sales", '{"answer": 3}', '{"other": "sales"}', '{"answer": "marketing"}', "[]"])
def test_a_select_that_is_answered_with_something_else(server: Any, reply: Any, openai: Make, answer: str) -> None:
    server.replies = [reply(answer)]
    with pytest.raises(sg.ProgramError, match="answer"):
        ask.run(sg.select("team", ["billing", "sales"]), backend=openai())


def test_selects_that_are_refused(openai: Make) -> None:
    for select, backend, named in (
        (sg.select("x", ["a"], choices_method=sg.joint_likelihood), openai(), "joint_likelihood"),
        (sg.select("x", ["a"], temperature=0.5), openai(), "temperature=0.5"),
        (sg.select("x", ["a"]), openai(response_format=False), "token_length_normalized"),
        (sg.select("x", ["a"], choices_method=sg.constrained_greedy), openai(response_format=False), "constrained_gr"),
    ):
        with pytest.raises(sg.BackendCapabilityError, match=f"a select by {named}|{named}"):
            ask.run(select, backend=backend)
    with pytest.raises(sg.BackendCapabilityError, match="a select by token_length_normalized"):
        complete.run(sg.select("x", ["a"]), backend=openai(is_chat_model=False))


def echo(index: int, tokens: list[str], logprobs: list[float | None]) -> dict[str, Any]:
    found = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": None, "text_offset": [-1] * len(tokens)}
    return {"index": index, "text": "".join(tokens), "finish_reason": "length", "logprobs": found}


def test_a_select_by_echoed_log_probabilities(server: Any, reply: Any, openai: Make) -> None:
    choices = [
        echo(1, ["<s>", "Once", " up", "on time"], [None, -9.0, -8.0, -0.5]),  # a token reaches across the boundary
        echo(0, ["<s>", "Once", " up", "on", " a"], [None, -9.0, -8.0, -2.0, -2.0]),
    ]
    whole = {"id": "x", "object": "c", "created": 0, "model": "m", "choices": choices, "usage": {
        "prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20}}  # fmt: skip
    server.replies = [reply(whole=whole), reply(" ago")]
    state = complete.run(
        sg.select("x", [" a", " time"]) + sg.gen("y"), backend=openai(is_chat_model=False, echo=True)
    )  # fmt: skip
    first, second = server.requests
    assert first == {
        "path": "/v1/completions", "model": "m", "prompt": ["Once upon a", "Once upon time"], "max_tokens": 0,
        "echo": True, "logprobs": 0, "temperature": 0,
    }  # fmt: skip
    assert second["prompt"] == "Once upon time"
    assert (state["x"], state["y"]) == (" time", " ago")
    meta = state.get_meta_info("x")
    assert meta["token_logprobs"] == [[-2.0, -2.0], [-0.5]]
    assert (meta["choices_method"], meta["prompt_tokens"]) == ("token_length_normalized", 20)


@pytest.mark.parametrize(
    "choices",
    [[], [echo(0, ["Once", " upon", " b"], [None, -1, -1])], [{"index": 0, "text": "", "finish_reason": "length"}],
     [echo(7, ["Once upon a"], [-1.0])]],
)  # fmt: skip
def test_an_echo_that_is_none(server: Any, reply: Any, openai: Make, choices: Any) -> None:
    server.replies = [reply(whole={"id": "x", "object": "c", "created": 0, "model": "m", "choices": choices})]
    with pytest.raises(sg.ProgramError, match="echo"):
        complete.run(sg.select("x", [" a"]), backend=openai(is_chat_model=False, echo=True))


def test_a_select_before_any_text(openai: Make) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.select("x", ["a", "b"])

    with pytest.raises(sg.ProgramError, match="needs some text before it"):
        program.run(backend=openai(is_chat_model=False, echo=True))


@pytest.mark.parametrize("extra", ["sglang", "vllm"])
def test_a_completion_held_to_choices_has_room_for_the_longest(
    server: Any, reply: Any, openai: Make, extra: str
) -> None:
    server.replies = [reply("a" * 40)]
    select = sg.select("x", ["b", "a" * 40], choices_method=sg.constrained_greedy)
    assert complete.run(select, backend=openai(is_chat_model=False, extra=extra))["x"] == "a" * 40
    assert server.request["max_tokens"] == 41


@pytest.mark.parametrize(
    ("extra", "field", "value"),
    [
        ("sglang", "regex", "(a|b\\.)"),
        ("vllm", "structured_outputs", {"choice": ["a", "b."]}),
        ("llamacpp", "grammar", 'root ::= "a" | "b."'),
    ],
)
def test_a_chat_held_to_choices_by_the_servers_own_means(
    server: Any, reply: Any, openai: Make, extra: str, field: str, value: Any
) -> None:
    server.replies = [reply(["b", "."])]
    state = ask.run(sg.select("x", ["a", "b."]), backend=openai(extra=extra))
    assert (state["x"], state.get_meta_info("x")["choices_method"]) == ("b.", "constrained_greedy")
    assert server.request[field] == value
    assert "response_format" not in server.request


def test_a_completion_of_llama_cpp_is_held_to_choices_as_it_echoes_nothing(
    server: Any, reply: Any, openai: Make
) -> None:
    server.replies = [reply("b")]
    state = complete.run(sg.select("x", ["a", "b"]), backend=openai(is_chat_model=False, extra="llamacpp"))
    assert (state["x"], state.get_meta_info("x")["choices_method"]) == ("b", "constrained_greedy")
    assert "echo" not in server.request


def test_a_drawn_select_by_echoed_log_probabilities(server: Any, reply: Any, openai: Make) -> None:
    tokens = ["Once upon"]
    choices = [echo(0, [*tokens, " a"], [None, -30.0]), echo(1, [*tokens, " b"], [None, -0.1])]
    server.replies = [reply(whole={"id": "x", "object": "c", "created": 0, "model": "m", "choices": choices})]
    select = sg.select("x", [" a", " b"], temperature=1.0, seed=1, choices_method=sg.joint_likelihood)
    assert complete.run(select, backend=openai(is_chat_model=False, echo=True))["x"] == " b"


def test_echoes_that_write_the_prompt_anew_or_go_on_behind_the_choice(server: Any, reply: Any, openai: Make) -> None:
    choices = [
        echo(0, ["bytes:\\xf0", "\ufffd", " a", " b"], [None, -30.0, -1.0, -2.0]),
        echo(1, ["bytes:\\xf0", "\ufffd", " a", " c", "!"], [None, -30.0, -1.0, -9.0, -40.0]),
    ]
    server.replies = [reply(whole={"id": "x", "object": "c", "created": 0, "model": "m", "choices": choices})]
    state = complete.run(sg.select("x", [" a b", " a c"]), backend=openai(is_chat_model=False, echo=True))
    assert state["x"] == " a b"
    assert state.get_meta_info("x")["token_logprobs"] == [[-1.0, -2.0], [-1.0, -9.0]]
    assert state.get_meta_info("x")["scores"] == [-1.5, -5.0]
