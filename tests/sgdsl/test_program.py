from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

import sgdsl as sg
from sgdsl import process


@sg.function
def greet(s: sg.ProgramState, name: str, greeting: str = "hello") -> str:
    """Greets."""
    s += f"{greeting} {name}" + sg.gen("x")
    return s["x"]


@sg.function
async def agreet(s: sg.ProgramState, name: str) -> Any:
    s += f"hello {name}" + sg.gen("x")
    return await s.get("x")


def test_a_program_looks_like_its_function() -> None:
    assert (greet.__name__, greet.__doc__, str(greet.signature)) == (
        "greet",
        "Greets.",
        "(name: 'str', greeting: 'str' = 'hello')",
    )
    assert isinstance(sg.function()(greet.func), sg.Program)
    with pytest.raises(ValueError, match="first parameter"):
        sg.function(lambda: None)
    with pytest.raises(ValueError, match="num_api_spec_tokens=0"):
        sg.function(num_api_spec_tokens=0)
    with pytest.raises(ValueError, match="num_api_spec_tokens=True"):
        sg.function(num_api_spec_tokens=True)


def test_whatever_can_be_called_is_a_program(mock: sg.Mock) -> None:
    def append(text: str, s: sg.ProgramState) -> None:
        s += text + sg.gen("x")

    partly = sg.function(functools.partial(append, "a"))
    assert (partly.name, partly.run(backend=mock).text()) == ("partial", "amock")


def test_arguments_are_checked_before_anything_runs(mock: sg.Mock) -> None:
    for args, kwargs in [((), {}), (("a", "b", "c"), {}), (("a",), {"nobody": 1})]:
        with pytest.raises(TypeError, match="greet: "):
            greet.run(*args, backend=mock, **kwargs)
    assert mock.calls == []


def test_bind_fixes_arguments_and_keeps_options(mock: sg.Mock) -> None:
    bound = greet.bind(greeting="bye").bind(name="Bob")
    bound.run(backend=mock)
    greet.bind(greeting="bye").run("Eve", backend=mock)
    assert [call.prompt for call in mock.calls] == ["bye Bob", "bye Eve"]
    assert sg.function(num_api_spec_tokens=4)(greet.func).bind(name="x").num_api_spec_tokens == 4
    with pytest.raises(TypeError, match=r"greet: .*'nobody'"):
        greet.bind(nobody=1)


def test_sampling_defaults_reach_every_gen_and_gens_win(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState, stop: str) -> None:
        s += stop + sg.gen("a", temperature=0.5, regex="b") + sg.gen("c")

    program.run(stop="own", temperature=0, max_new_tokens=9, seed=3, backend=mock)
    first, second = (call.params for call in mock.calls)
    assert (first.temperature, first.max_new_tokens, first.seed, first.stop) == (0.5, 9, 3, ())
    assert first.constraint is not None
    assert (second.temperature, second.max_new_tokens, second.constraint) == (0, 9, None)
    with pytest.raises(ValueError, match="temperature=-1"):
        program.run("x", temperature=-1, backend=mock)


def test_async_programs_run_from_plain_code_and_from_event_loops(mock: sg.Mock) -> None:
    assert agreet.run("a", backend=mock).ret_value == "mock"

    async def on_a_loop() -> None:
        assert (await agreet.arun("b", backend=mock)).ret_value == "mock"
        assert (await greet.arun("c", backend=mock)).ret_value == "mock"
        with pytest.raises(ValueError, match=r"await agreet.arun"):
            agreet.run("d", backend=mock)
        many = await asyncio.gather(*[agreet.arun(str(i), backend=mock) for i in range(50)])
        assert [state["x"] for state in many] == ["mock"] * 50

    asyncio.run(on_a_loop())


def test_reads_in_async_programs_do_not_block(gate: Any) -> None:
    @sg.function
    async def program(s: sg.ProgramState) -> Any:
        s += sg.gen("x")
        for read in (lambda: s["x"], s.text, s.messages, lambda: s.get_meta_info("x"), s.tokens):
            with pytest.raises(sg.WouldBlock, match="await s"):
                read()
        with pytest.raises(TimeoutError):
            await s.get("x", timeout=0.01)
        with pytest.raises(TimeoutError):
            await s.wait(timeout=0.01)
        gate.opened.set()
        await s.wait()
        assert len(await s.get_tokens()) == 1
        return s["x"] + s.text()

    assert program.run(backend=sg.Mock(gate)).ret_value == "latelate"


def test_programs_call_programs_on_their_own_backend(mock: sg.Mock) -> None:
    @sg.function
    def outer(s: sg.ProgramState) -> Any:
        s += "outer " + sg.gen("y")
        return greet("Ann"), greet(name="Bo", greeting="hi"), s["y"]

    @sg.function
    async def async_outer(s: sg.ProgramState) -> Any:
        return await greet("Cy"), await agreet("Di")

    state = outer.run(backend=mock)
    assert state.ret_value == ("mock", "mock", "mock")
    assert sorted(call.prompt for call in mock.calls) == ["hello Ann", "hi Bo", "outer "]
    assert state.usage().gens == 3
    assert async_outer.run(backend=mock).ret_value == ("mock", "mock")


def test_a_called_programs_failure_and_its_end(gate: Any) -> None:
    @sg.function
    def outer(s: sg.ProgramState) -> None:
        greet("Ann")

    with pytest.raises(sg.ProgramError, match=r'in greet: gen "x": boom'):
        outer.run(backend=sg.Mock([OSError("boom")]))
    mock = sg.Mock(gate)
    with pytest.raises(sg.ProgramTimeout):
        outer.run(backend=mock, timeout=0.05)
    assert mock.num_open == 0


def test_call_inlines_a_program(mock: sg.Mock) -> None:
    @sg.function
    def outer(s: sg.ProgramState) -> Any:
        s += "a "
        value = s.call(greet, "Ann", greeting="hey")
        return value, s["x"]

    state = outer.run(backend=mock)
    assert state.ret_value == ("mock", "mock")
    assert state.text() == "a hey Annmock"
    with pytest.raises(TypeError, match="greet"):
        sg.function(lambda s: s.call(greet)).run(backend=mock)


def test_what_cannot_be_inlined_is_refused(mock: sg.Mock) -> None:
    compiled = sg.function(lambda s, name: s.text()).compile(partial=True)

    @sg.function
    def outer(s: sg.ProgramState) -> Any:
        for wrong, why in ((compiled, "CompiledProgram"), (greet.func, "function"), (agreet, "agreet is async")):
            with pytest.raises(ValueError, match=f"call: {why}"):
                s.call(wrong, "Bob")  # type: ignore[arg-type]
        return agreet("Bob")

    @sg.function
    async def aouter(s: sg.ProgramState) -> Any:
        return await s.call(agreet, "Bob")

    assert outer.run(backend=mock).ret_value == aouter.run(backend=mock).ret_value == "mock"


def test_the_default_backend(mock: sg.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    sg.set_default_backend(mock)
    assert greet.run("a").ret_value == "mock"
    assert greet("b").ret_value == "mock"
    with pytest.raises(ValueError, match="backend=3"):
        sg.set_default_backend(3)
    with pytest.raises(ValueError, match="timeout=0"):
        greet.run("a", timeout=0)


def test_the_first_run_starts_the_default_engine_once(mock: sg.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    from sgdsl.backends.engine import EngineBackend

    started: list[sg.Mock] = []

    def start() -> sg.Mock:
        started.append(mock)
        return mock

    monkeypatch.setattr(EngineBackend, "start", start)
    monkeypatch.setattr(process.atexit, "register", lambda call: None)
    greet.run("a")
    asyncio.run(agreet.arun("b"))
    assert len(started) == 1


def test_cache_computes_what_every_run_begins_with(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState, question: str, shots: int = 3) -> Any:
        s += sg.system("You answer.")
        s += "one two three"
        s += sg.user(question) + sg.assistant(sg.gen("x"))
        return s["x"]

    @sg.function
    async def looks(s: sg.ProgramState, question: str) -> None:
        s += "one two"
        if question == "x":
            s += "three"
        await s.get("y")

    @sg.function
    def reads(s: sg.ProgramState) -> None:
        s += "one two " + sg.gen("x")

    @sg.function
    def nothing(s: sg.ProgramState, a: str) -> None:
        s += a

    # four tokens of the system message, three words and two of what begins the user message; bound, one of the
    # question, one of its end and two of the answer more
    assert program.cache(mock) == 9
    assert mock.calls == []
    assert looks.cache(mock) == 2
    assert program.bind(question="q").cache(mock) == 12
    assert reads.cache(mock) == 3  # the last blank is a token of its own
    assert nothing.cache(mock) == 0
    assert mock.num_open == 0
