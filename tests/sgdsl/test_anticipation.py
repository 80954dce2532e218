from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.compiled import CompiledProgram
from sgdsl.errors import InvalidArgument, ProgramError


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


def test_what_the_graph_was_made_for_need_not_be_given_again(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState, first: str, /, topic: str, *, n: int = 2, **more: str) -> Any:
        s += first + topic * n + more["end"] + sg.gen("a")
        return s["a"].upper()

    compiled = program.compile(topic="b", end="!", partial=True)
    assert compiled.run("a", backend=mock).text() == compiled.run("a", topic="b", backend=mock).text() == "abb!mock"
    with pytest.raises(InvalidArgument, match="topic='c' is not allowed"):
        compiled.run("a", topic="c", backend=mock)
    assert closed(mock)


def test_options_of_the_program_stay(mock: sg.Mock) -> None:
    program = sg.function(num_api_spec_tokens=4)(lambda s, topic: s.text())
    for compiled in (program.bind(topic="a").compile(partial=True), program.compile(topic="a", partial=True)):
        assert compiled.run(backend=mock)._stream.run.num_api_spec_tokens == 4


def closed(mock: sg.Mock) -> bool:
    """Sessions of programs that were ended from outside close a moment later."""
    deadline = time.monotonic() + 5
    while mock.num_open and time.monotonic() < deadline:
        time.sleep(0.005)
    return mock.num_open == 0


@sg.function
def deciding(s: sg.ProgramState, topic: str, note: str = "", n: int = 1) -> Any:
    s += sg.user(topic + note)
    s += sg.assistant(sg.gen("reason") + sg.gen("grade", type=int))
    s += note
    s += " long" if len(s["reason"]) > 4 else " short"
    s += sg.gen("end")
    return s["end"]


def test_a_partial_graph_needs_its_function() -> None:
    graph = deciding.trace(partial=True)
    with pytest.raises(InvalidArgument, match=r"this graph is not whole: .*the length of the value 'reason'"):
        CompiledProgram(graph)
    assert deciding.compile(topic="a", partial=True).graph.stopped is not None


def test_a_partial_graph_runs_ahead_and_the_function_goes_on(mock: sg.Mock) -> None:
    for note in ("", "please"):
        recorded = deciding.run("cats", note, backend=mock)
        state = deciding.compile(partial=True).run("cats", note, backend=mock)
        assert state.text() == recorded.text()
        assert (state["grade"], state.ret_value) == (recorded["grade"], "mock")
        assert state.usage() == recorded.usage()
    assert mock.num_open == 0


@pytest.mark.parametrize("ends_early", [False, True])
def test_a_program_that_says_something_else_than_when_it_was_compiled(mock: sg.Mock, ends_early: bool) -> None:
    count = itertools.count()

    @sg.function
    def fickle(s: sg.ProgramState) -> Any:
        number = next(count)
        if number and ends_early:
            return "early"
        s += f"number {number}" + sg.gen("a")
        return s["a"].upper()

    compiled = fickle.compile(partial=True)
    with pytest.raises(ProgramError, match="'number 0' when it was compiled"):
        compiled.run(backend=mock)
    assert closed(mock)


def test_a_program_that_swallows_it_does_not_get_away_with_it(mock: sg.Mock) -> None:
    count = itertools.count()

    @sg.function
    def fickle(s: sg.ProgramState) -> Any:
        try:
            s += f"number {next(count)}" + sg.gen("a")
        except ProgramError:
            return "swallowed"
        return s["a"].upper()

    compiled = fickle.compile(partial=True)
    with pytest.raises(ProgramError, match="when it was compiled"):
        compiled.run(backend=mock)
    assert closed(mock)


async def test_async_partial_programs(mock: sg.Mock) -> None:
    @sg.function
    async def late(s: sg.ProgramState, topic: str) -> Any:
        s += topic + sg.gen("a")
        s += (await s.get("a")).upper()
        return s.text_of("a")

    compiled = late.compile(partial=True)
    assert (await compiled.arun("cats", backend=mock)).text() == "catsmockMOCK"
    assert mock.num_open == 0


def test_an_error_of_the_functions_own_comes_out_as_it_is(mock: sg.Mock) -> None:
    @sg.function
    def broken(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        broken.compile(partial=True).run(backend=mock)
    assert closed(mock)


def test_a_partial_graph_refuses_other_values_too(mock: sg.Mock) -> None:
    compiled = deciding.compile(partial=True)
    with pytest.raises(InvalidArgument, match="n=3 is not allowed"):
        compiled.run("a", n=3, backend=mock)
    assert closed(mock)


def test_partly_compiled_programs_inside_others(mock: sg.Mock) -> None:
    part = deciding.compile(partial=True)
    with pytest.raises(sg.TraceError, match="the length of the value 'reason'"):
        sg.function(lambda s: part("a")).trace()
    assert sg.function(lambda s: part("a")).run(backend=mock).ret_value == "mock"
