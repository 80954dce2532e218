from __future__ import annotations

import threading
from typing import Any

import pytest

import sgdsl as sg


@pytest.fixture
def reached() -> threading.Event:
    return threading.Event()


def test_gens_run_before_the_function_comes_to_them(reached: threading.Event) -> None:
    is_traced = True

    def answer(prompt: str, params: Any) -> str:
        if prompt.endswith("second"):
            reached.set()
        return "text"

    @sg.function
    def program(s: sg.ProgramState, topic: str) -> str:
        s += topic + sg.gen("a")
        assert is_traced or reached.wait(10), "the second gen waits for the function"
        s += "second" + sg.gen("b")
        return s["a"].upper() + s["b"]

    compiled = program.compile(partial=True)
    is_traced = False
    mock = sg.Mock(answer)
    assert compiled.run("first", backend=mock).ret_value == "TEXTtext"
    assert [call.prompt for call in mock.calls] == ["first", "firsttextsecond"]


def test_what_goes_ahead_ends_at_the_first_fork_value_or_argument_that_is_no_text() -> None:
    @sg.function
    def program(s: sg.ProgramState, topic: Any) -> Any:
        s += "a"
        s += sg.gen("a")
        s += topic if isinstance(topic, str) else str(topic)
        return s["a"]

    compiled = program.compile(partial=True)
    assert [type(one.node).__name__ for one in compiled.graph] == ["Text", "Gen"]
    mock = sg.Mock()
    for topic in ("cats", 3, ""):
        assert compiled.run(topic, backend=mock).text() == f"amock{topic}"
    assert mock.num_open == 0


def test_a_failure_of_what_goes_ahead_is_the_programs() -> None:
    mock = sg.Mock({"b": RuntimeError("no luck")})

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.gen("a") + sg.gen("b")
        return s["b"].upper()

    with pytest.raises(sg.ProgramError, match=r"test_anticipation\.py:\d+ in program: gen \"b\": no luck"):
        program.compile(partial=True).run(backend=mock)
    assert mock.num_open == 0


def test_options_of_the_program_stay() -> None:
    program = sg.function(num_api_spec_tokens=4)(lambda s, topic: s.text())
    compiled = program.bind(topic="a").compile(partial=True)
    with pytest.raises(sg.BackendCapabilityError, match="num_api_spec_tokens=4"):
        compiled.run(backend=sg.Mock())
