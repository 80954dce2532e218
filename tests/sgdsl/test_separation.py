from __future__ import annotations

import asyncio
from typing import Any

import pytest

import sgdsl as sg
from grammars import Regex
from runtime.sampling.params import SamplingParams

TEXT = "<think>\nTwo and two.\n</think>\n\nIt is 4."


@sg.function
def thinker(s: Any) -> None:
    s += "Q: " + sg.separate_reasoning("A: " + sg.gen("answer", max_tokens=40), "qwen3") + " Next: "
    s += sg.gen("next", max_tokens=3)


def test_two_values_of_one_text() -> None:
    state = thinker.run(backend=sg.Mock([TEXT, "ok"]))
    assert state["answer"] == state.text_of("answer") == "It is 4."
    assert state["answer_reasoning_content"] == "Two and two."
    assert state.get_meta_info("answer") == state.get_meta_info("answer_reasoning_content")
    assert state.text() == f"Q: A: {TEXT} Next: ok"


def test_streams_apart() -> None:
    state = thinker.run(backend=sg.Mock([TEXT, "ok"], latency=0.05), stream=True)
    pieces = list(state.text_iter("answer_reasoning_content"))
    assert "".join(pieces) == "Two and two."
    assert len(pieces) > 1
    assert "".join(state.text_iter("answer")) == "It is 4."
    assert "".join(state.text_iter()) == f"Q: A: {TEXT} Next: ok"


def test_reads_are_awaited() -> None:
    @sg.function
    async def program(s: Any) -> list[str]:
        s += sg.separate_reasoning(sg.gen("a", max_tokens=40), "qwen3")
        return [await s.get("a"), await s.get("a_reasoning_content")]

    state = asyncio.run(program.arun(backend=sg.Mock([TEXT])))
    assert state.ret_value == ["It is 4.", "Two and two."]


def test_a_text_that_does_not_reason_is_all_answer() -> None:
    state = thinker.run(backend=sg.Mock(["Just 4.", "ok"]))
    assert (state["answer"], state["answer_reasoning_content"]) == ("Just 4.", "")


def test_samples_are_separated_one_by_one() -> None:
    @sg.function
    def program(s: Any) -> None:
        s += sg.separate_reasoning(sg.gen("a", n=2), "deepseek-r1")

    state = program.run(backend=sg.Mock(["x</think>1", "y</think>2"]))
    assert sorted(state["a"]) == sorted(state.text_of("a")) == ["1", "2"]
    assert sorted(state["a_reasoning_content"]) == ["x", "y"]


def test_a_constraint_holds_behind_the_reasoning() -> None:
    seen: list[SamplingParams] = []

    def script(prompt: str, params: SamplingParams) -> str:
        seen.append(params)
        return "hm</think>42"

    @sg.function
    def program(s: Any) -> None:
        s += sg.separate_reasoning(sg.gen("a", type=int), "qwen3")

    state = program.run(backend=sg.Mock(script))
    assert (state["a"], state["a_reasoning_content"]) == (42, "hm")
    assert isinstance(seen[0].constraint, Regex)
    assert seen[0].constraint_after == "</think>"
    assert isinstance(program.run(backend=sg.Mock())["a"], int)
    with pytest.raises(sg.ProgramError, match="does not match"):
        program.run(backend=sg.Mock(["4</think>four"]))
    with pytest.raises(sg.ProgramError, match=r"no '</think>'"):
        program.run(backend=sg.Mock(["42"]))


def test_forks_hand_both_values_back() -> None:
    @sg.function
    def program(s: Any) -> None:
        forks = s.fork(2)
        forks += sg.separate_reasoning(sg.gen("a"), "deepseek-r1")
        forks.join()

    state = program.run(backend=sg.Mock({"a": ["x</think>1", "y</think>2"]}))
    assert state["a"] == ["1", "2"]
    assert state["a_reasoning_content"] == ["x", "y"]


def test_a_failure_reaches_both_values() -> None:
    state = thinker.run(backend=sg.Mock([RuntimeError("burnt")], latency=0.05), stream=True)
    for name in ("answer", "answer_reasoning_content"):
        with pytest.raises(sg.ProgramError, match="burnt"):
            state.get_var(name)


def test_what_cannot_be_separated_is_refused() -> None:
    with pytest.raises(sg.InvalidArgument, match="model_type="):
        sg.separate_reasoning(sg.gen("a"), "none")
    with pytest.raises(sg.InvalidArgument, match="no gen"):
        sg.separate_reasoning("text", "qwen3")
    both = sg.separate_reasoning(sg.gen("a"), "qwen3")
    with pytest.raises(sg.InvalidArgument, match="a_reasoning_content"):
        both + sg.gen("a_reasoning_content")
