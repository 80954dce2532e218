from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.compiled import CompiledProgram
from sgdsl.errors import CheckFailed, InvalidArgument, ProgramCancelled, ProgramError, ProgramTimeout
from sgdsl.events import Constant, Generated
from sgdsl.ir import Graph, Parameter


@sg.function
def ask(s: sg.ProgramState, topic: str, style: str = "short", n: int = 2, *, end: str = ".") -> Any:
    s += sg.system("Be " + style + end)
    with s.user():
        for _ in range(n):
            s += topic
    s += sg.assistant(sg.gen("answer", stop="\n"))
    return s["answer"]


def closed(mock: sg.Mock) -> bool:
    """Sessions of programs that were ended from outside close a moment later."""
    deadline = time.monotonic() + 5
    while mock.num_open and time.monotonic() < deadline:
        time.sleep(0.005)
    return mock.num_open == 0


# how it is called


def test_it_is_called_as_its_program_is(mock: sg.Mock) -> None:
    compiled = ask.compile()
    for args, kwargs in [
        (("cats",), {}),
        (("cats", "long"), {}),
        (("cats", "long", 2), {"end": "!"}),
        ((), {"topic": "cats", "n": 2}),
    ]:
        expected = ask.run(*args, backend=mock, **kwargs)
        state = compiled.run(*args, backend=mock, **kwargs)
        assert (state.text(), state.ret_value) == (expected.text(), expected.ret_value)
    assert mock.num_open == 0


@pytest.mark.parametrize("kwargs", [{}, {"topic": "a", "other": 1}, {"topic": "a", "args": 1}])
def test_arguments_are_checked_before_anything_runs(mock: sg.Mock, kwargs: dict[str, Any]) -> None:
    for compiled in (ask.compile(), ask.compile(partial=True), CompiledProgram(ask.trace())):
        with pytest.raises(TypeError, match="ask: "):
            compiled.run(backend=mock, **kwargs)
    assert mock.calls == []


def test_a_value_that_the_graph_was_not_made_for(mock: sg.Mock) -> None:
    with pytest.raises(InvalidArgument, match=r"n=3 is not allowed: the graph was made for 2; compile\(n=…\)"):
        ask.compile().run("cats", n=3, backend=mock)
    compiled = ask.compile(n=3, topic="dogs")
    assert "dogsdogsdogs" in compiled.run(backend=mock).text()
    assert "Be long" in compiled.run("long", backend=mock).text()
    with pytest.raises(InvalidArgument, match="topic='cats' is not allowed"):
        compiled.run(topic="cats", backend=mock)
    assert mock.num_open == 0


def test_positional_only_parameters_and_names_like_the_states(mock: sg.Mock) -> None:
    @sg.function
    def odd(s: sg.ProgramState, state: str, /, *, args: str = "b") -> None:
        s += state + args

    assert odd.compile().run("a", args="c", backend=mock).text() == "ac"


def test_parameters_no_function_can_have() -> None:
    for parameters in (
        (Parameter(name="a b", is_required=True),),
        (Parameter(name="a"), Parameter(name="a")),
        (Parameter(name="a"), Parameter(name="b", is_required=True)),
    ):
        with pytest.raises(InvalidArgument, match="the parameters of p are not allowed"):
            CompiledProgram(Graph(name="p", parameters=parameters))


def test_sampling_defaults_reach_every_gen(mock: sg.Mock) -> None:
    compiled = ask.compile()
    compiled.run("cats", backend=mock, temperature=0.25, max_tokens=7)
    assert mock.calls[0].params.temperature == 0.25
    assert mock.calls[0].params.max_new_tokens == 7


def test_what_no_backend_can_do_is_refused_as_in_the_program(mock: sg.Mock) -> None:
    @sg.function
    def urgent(s: sg.ProgramState) -> None:
        s += sg.gen("a", priority=3)

    with pytest.raises(sg.BackendCapabilityError, match="priority=3"):
        urgent.compile().run(backend=mock)
    assert mock.num_open == 0


# failures


@pytest.fixture
def failing() -> sg.Mock:
    return sg.Mock({"bad": RuntimeError("no luck")})


def test_a_failure_names_the_program_line(failing: sg.Mock) -> None:
    @sg.function
    def ask_badly(s: sg.ProgramState) -> Any:
        s += "Q" + sg.gen("bad")
        s += s["bad"] + sg.gen("after")
        return "fixed"

    with pytest.raises(ProgramError, match=r"test_compiled\.py:\d+ in ask_badly: gen \"bad\": no luck") as caught:
        ask_badly.compile().run(backend=failing)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert len(failing.calls) == 1
    assert closed(failing)


def test_a_failing_fork_ends_the_whole_unless_its_error_is_a_value(failing: sg.Mock) -> None:
    @sg.function
    def fork(s: sg.ProgramState, keep: bool) -> Any:
        group = s.fork(2)
        group[0] += sg.gen("good")
        group[0] += sg.gen("name")
        group[1] += sg.gen("bad")
        group[1] += sg.gen("name")
        group.join(return_exceptions=keep)
        s += "goes on" + sg.gen("after")
        return s["name"], s["bad"]

    kept = fork.compile(keep=True).run(backend=failing)
    recorded = fork.run(True, backend=failing)
    for state in (kept, recorded):
        (name, error), (missing, same) = state.ret_value
        assert (name, missing, state["after"]) == ("mock", None, "mock")
        assert isinstance(error, ProgramError)
        assert error is same
        assert "no luck" in str(error)
    with pytest.raises(ProgramError, match='gen "bad": no luck'):
        fork.compile(keep=False).run(backend=failing)
    assert closed(failing)


def test_a_failure_in_a_stretch_that_is_taken_back(failing: sg.Mock) -> None:
    @sg.function
    def undo(s: sg.ProgramState) -> None:
        point = s.checkpoint()
        s += sg.gen("bad")
        s.rollback(point)
        s += "after" + sg.gen("good")

    for program in (undo, undo.compile()):
        with pytest.raises(ProgramError, match="no luck"):
            program.run(backend=failing)
    assert closed(failing)


def test_a_failure_of_a_called_program(failing: sg.Mock) -> None:
    @sg.function
    def inner(s: sg.ProgramState, text: str) -> str:
        s += text + sg.gen("bad")
        return s["bad"]

    @sg.function
    def outer(s: sg.ProgramState) -> Any:
        s += sg.gen("a")
        return inner(s["a"])

    for program in (outer, outer.compile()):
        with pytest.raises(ProgramError, match=r"in inner: gen \"bad\": no luck"):
            program.run(backend=failing)
    assert closed(failing)


def test_the_value_of_a_type_that_is_not_there() -> None:
    @sg.function
    def number(s: sg.ProgramState) -> Any:
        s += sg.gen("n", type=int, max_tokens=1) + sg.gen("m", type=list[int], max_tokens=1)
        return s["m"]

    mock = sg.Mock({"m": "[1, 2]"})
    for program in (number, number.compile()):
        with pytest.raises(ProgramError, match=r"gen \"m\": '\[1,' is not a valid list"):
            program.run(backend=mock)
    assert closed(mock)


@sg.function
def slow(s: sg.ProgramState) -> Any:
    s += "Q" + sg.gen("a") + sg.gen("b")
    group = s.fork(3)
    group += s["a"] + sg.gen("c")
    group.join()
    return s["c"]


def test_timeout(mock: sg.Mock) -> None:
    mock.latency = 30
    with pytest.raises(ProgramTimeout, match=r"slow took longer than timeout=0\.05 s"):
        slow.compile().run(backend=mock, timeout=0.05)
    assert closed(mock)


async def test_cancellation(mock: sg.Mock) -> None:
    mock.latency = 30
    compiled = slow.compile()
    task = asyncio.create_task(compiled.arun(backend=mock))
    while not mock.calls:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    state = compiled.run(backend=mock, stream=True)
    state.cancel()
    with pytest.raises(ProgramCancelled):
        state.get_var("c")
    assert closed(mock)


# streams


def test_streaming(mock: sg.Mock) -> None:
    mock = sg.Mock({"answer": "one two\nthree"})
    compiled = ask.compile()
    state = compiled.run("cats", backend=mock, stream=True)
    assert list(state.text_iter("answer")) == ["one", " two"]
    assert "".join(state.text_iter()) == state.text() == ask.run("cats", backend=mock).text()
    assert state.ret_value == "one two"
    events = list(compiled.run("cats", backend=mock, stream=True).events())
    assert Generated("one", "answer") in events
    assert state["answer"] == "one two"


async def test_streaming_on_an_event_loop(mock: sg.Mock) -> None:
    state = await patient.compile().arun("cats", backend=mock, stream=True)
    assert [piece async for piece in state.text_async_iter()] == ["cats", "mock", "mock", "!", "mock"]
    assert await state.get("b") == "mock"


def test_text_that_comes_of_values_is_an_event(mock: sg.Mock) -> None:
    @sg.function
    def again(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        s += "<" + s["a"] + ">"

    events = list(again.compile().run(backend=mock, stream=True).events())
    assert [event for event in events if isinstance(event, Constant)] == [
        Constant("<"),
        Constant("mock"),
        Constant(">"),
    ]


# async, calls


@sg.function
async def patient(s: sg.ProgramState, topic: str) -> Any:
    s += topic + sg.gen("a")
    s += await s.get("a") + "!"
    s += sg.gen("b")
    return await s.get("b")


async def test_async_programs(mock: sg.Mock) -> None:
    state = await patient.compile().arun("cats", backend=mock)
    assert (state.ret_value, state.text()) == ("mock", "catsmockmock!mock")
    assert mock.num_open == 0


def test_async_programs_from_plain_code(mock: sg.Mock) -> None:
    assert patient.compile().run("cats", backend=mock).text() == "catsmockmock!mock"
    assert [one.ret_value for one in patient.compile().run_batch([("a",), ("b",)], backend=mock)] == ["mock"] * 2


def test_compiled_programs_inside_others(mock: sg.Mock) -> None:
    compiled, later = ask.compile(), patient.compile()

    @sg.function
    def outer(s: sg.ProgramState, topic: str) -> Any:
        s += compiled(topic + "?", temperature=0) + sg.gen("more")
        return later(s["more"])

    @sg.function
    async def outer_async(s: sg.ProgramState, topic: str) -> Any:
        s += await compiled(topic + "?", temperature=0) + sg.gen("more")
        return await later(await s.get("more"))

    for program in (outer, outer_async, outer.compile(), outer_async.compile(), outer.compile().graph):
        program = CompiledProgram(Graph.from_json(program.to_json())) if isinstance(program, Graph) else program
        state = program.run("cats", backend=mock)
        assert (state.text(), state.ret_value) == ("mockmock", "mock")
        assert state.usage().gens == 4
    assert {call.params.temperature for call in mock.calls} == {0, 1}
    assert mock.num_open == 0


def test_called_outside_of_programs_it_runs(mock: sg.Mock) -> None:
    assert ask.compile()("cats", backend=mock).ret_value == "mock"


# batches


def test_a_batch_of_five_hundred() -> None:
    mock = sg.Mock(lambda prompt, params: prompt.rpartition("user\n")[2][:4], concurrency=8)
    compiled = ask.compile(n=1)
    states = compiled.run_batch([{"topic": f"{i:04}"} for i in range(500)], backend=mock)
    assert [state.ret_value for state in states] == [f"{i:04}" for i in range(500)]
    assert mock.num_open == 0
    some = compiled.run_batch([("a",), ("b", "long")], backend=mock, generator_style=True)
    assert "Be long." in list(some)[1].text()
    with pytest.raises(TypeError, match=r"batch\[1\]"):
        compiled.run_batch([("a",), ()], backend=mock)


def test_a_batch_with_failures(failing: sg.Mock) -> None:
    @sg.function
    def maybe(s: sg.ProgramState, name: str) -> Any:
        s += sg.gen("bad")

    results = maybe.compile().run_batch([("a",), ("b",)], backend=failing, return_exceptions=True)
    assert all(isinstance(one, ProgramError) for one in results)
    assert closed(failing)


# checks


@sg.function
def hopeless(s: sg.ProgramState, text: str) -> None:
    s += text + sg.gen("a", regex=r"[^\s\S]")
    s += sg.gen("b", json_schema={"type": "integer", "minimum": 3, "maximum": 1})
    s += sg.gen("c", lark="start: missing")


def test_every_finding_is_listed(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CheckFailed) as caught:
        hopeless.compile()
    lines = str(caught.value).splitlines()
    first = hopeless.func.__code__.co_firstlineno
    assert [line.partition(" in ")[0] for line in lines] == [f"test_compiled.py:{first + place}" for place in (2, 3, 4)]
    assert [finding.check for finding in caught.value.findings] == ["satisfiable"] * 3


def test_warnings_are_logged_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    @sg.function
    def odd(s: sg.ProgramState) -> None:
        s += sg.gen("a", regex="[0-9]+", stop="x")

    compiled = odd.compile()
    assert [finding.check for finding in compiled.findings] == ["stops"]
    assert "stop='x' can never come" in caplog.text


def test_a_context_that_is_too_short(mock: sg.Mock) -> None:
    small = sg.Mock(context_length=12)

    @sg.function
    def long(s: sg.ProgramState, text: str) -> None:
        s += "w " * 8 + text + sg.gen("a", max_tokens=2)

    compiled = long.compile(backend=small)
    assert compiled.run("w w", backend=small).text().endswith("mock")
    with pytest.raises(CheckFailed, match="at least 20 tokens stand before it, and context_length is 12"):
        compiled.run("w " * 11, backend=small)
    assert closed(small)
    assert compiled.run("w " * 11, backend=mock)["a"] == "mock"


def test_cache_computes_the_constant_beginning(mock: sg.Mock) -> None:
    assert ask.compile().cache(backend=mock) == ask.cache(backend=mock)
    assert mock.num_open == 0


def test_it_says_what_it_is() -> None:
    compiled = ask.compile()
    assert compiled.name == "ask"
    assert repr(compiled) == f"<compiled program ask: {len(compiled.graph)} instructions>"
