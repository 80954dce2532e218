from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any

import pytest

import sgdsl as sg

BOOM = ValueError("boom")


def test_a_failure_names_line_and_instruction_and_every_later_read_raises_it() -> None:
    mock = sg.Mock({"a": "fine", "b": BOOM})
    seen: list[sg.ProgramError] = []

    @sg.function
    def triage(s: sg.ProgramState) -> None:
        s += "x" + sg.gen("a") + sg.gen("b")
        for read in (
            lambda: s["b"],
            lambda: s["a"],
            s.text,
            s.messages,
            s.sync,
            lambda: list(s.text_iter("b")),
            s.tokens,
        ):
            with pytest.raises(sg.ProgramError) as caught:
                read()
            seen.append(caught.value)
        with pytest.raises(sg.ProgramError):
            s += sg.gen("c")
        assert s.error() is seen[0]

    line = triage.func.__code__.co_firstlineno + 2
    triage.run(backend=mock)
    assert len(seen) == 7
    assert len(set(map(id, seen))) == 1
    assert seen[0].__cause__ is BOOM
    assert str(seen[0]) == f'test_failures.py:{line} in triage: gen "b": boom'
    assert seen[0].source is not None
    assert (seen[0].source.line, seen[0].source.function) == (line, "triage")
    assert mock.num_open == 0


def test_an_unread_failure_is_raised_by_the_run() -> None:
    @sg.function
    def main_stream(s: sg.ProgramState) -> None:
        s += sg.gen("a")

    @sg.function
    def in_a_fork(s: sg.ProgramState) -> None:
        s.fork(2)[1].__iadd__(sg.gen("a"))

    for program in (main_stream, in_a_fork):
        with pytest.raises(sg.ProgramError, match='gen "a": boom') as caught:
            program.run(backend=sg.Mock({"a": BOOM}))
        assert caught.value.__cause__ is BOOM


def test_a_failure_the_program_has_dealt_with_is_not_raised_again() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> str:
        fork = s.fork(1)[0]
        fork += sg.gen("a")
        try:
            return str(fork["a"])
        except sg.ProgramError:
            s += sg.gen("b")
            return "instead: " + s["b"]

    assert program.run(backend=sg.Mock({"a": BOOM, "b": "B"})).ret_value == "instead: B"


def test_a_joined_forks_failure_is_the_parents_and_cancels_its_siblings(gate: Any) -> None:
    def script(prompt: str, params: object) -> Any:
        return BOOM if prompt.endswith("1") else gate(prompt, params)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(3)
        forks += lambda i: str((i + 1) % 3) + sg.gen("x")
        forks.join()
        for state in (s, *forks):
            with pytest.raises(sg.ProgramError, match='gen "x": boom'):
                state["x"]
        s["x"]

    mock = sg.Mock(script)
    with pytest.raises(sg.ProgramError) as caught:
        program.run(backend=mock)
    assert caught.value.__cause__ is BOOM
    assert mock.num_open == 0


def test_return_exceptions_keeps_a_forks_failure_to_itself() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        forks = s.fork(3)
        forks += sg.gen("x")
        forks.join(return_exceptions=True)
        s += sg.gen("y")
        return s["x"], s["y"]

    values, after = program.run(backend=sg.Mock({"x": ["1", BOOM, "3"], "y": "Y"})).ret_value
    assert (values[0], values[2], after) == ("1", "3", "Y")
    assert isinstance(values[1], sg.ProgramError)
    assert values[1].__cause__ is BOOM


def test_a_join_after_the_failure_raises_at_once() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        fork = s.fork(1)
        fork += sg.gen("x")
        assert fork[0].error() is not None
        fork.join()

    with pytest.raises(sg.ProgramError, match="boom"):
        program.run(backend=sg.Mock({"x": BOOM}))


@pytest.mark.parametrize("where", ["plain", "role", "fork"])
def test_exceptions_of_the_programs_own_come_out_as_they_are(where: str, gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x")
        if where == "role":
            with s.user():
                raise KeyError("mine")
        if where == "fork":
            for fork in s.fork(3):
                fork += sg.gen("y")
                raise KeyError("mine")
        raise KeyError("mine")

    mock = sg.Mock(gate)
    with pytest.raises(KeyError, match="mine"):
        program.run(backend=mock)
    assert mock.num_open == 0
    state = program.run(backend=mock, stream=True)
    with pytest.raises(sg.ProgramError, match=r"test_failures.py:\d+ in program: KeyError: 'mine'") as caught:
        state["x"]
    assert isinstance(caught.value.__cause__, KeyError)


def test_values_that_do_not_fit_their_type() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x", type=list[int], max_tokens=1)

    with pytest.raises(sg.ProgramError, match=r'gen "x": .* is not a valid list.*max_tokens is too small'):
        program.run(backend=sg.Mock({"x": "[1, 2]"}))


def test_a_program_that_takes_too_long(gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.gen("x")
        return s["x"]

    @sg.function
    async def awaiting(s: sg.ProgramState) -> Any:
        s += sg.gen("x")
        return await s.get("x")

    @sg.function
    async def asleep(s: sg.ProgramState) -> None:
        await asyncio.sleep(10)

    mock = sg.Mock(gate)
    for one in (program, awaiting, asleep):
        started = time.monotonic()
        with pytest.raises(sg.ProgramTimeout, match=f"{one.name} took longer than timeout=0.05 s") as caught:
            one.run(backend=mock, timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert time.monotonic() - started < 5
    assert mock.num_open == 0


def test_a_gen_that_takes_too_long(gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x", timeout=0.05)

    with pytest.raises(sg.ProgramTimeout, match=r'gen "x": took longer than timeout=0\.05 s'):
        program.run(backend=sg.Mock(gate))


def test_cancelling_ends_every_reader(gate: Any) -> None:
    mock = sg.Mock(gate)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join()
        s["x"]

    state = program.run(backend=mock, stream=True)
    assert gate.reached.wait(5)
    raised: list[BaseException] = []

    def read(how: Any) -> None:
        try:
            how()
        except BaseException as error:
            raised.append(error)

    readers = [
        threading.Thread(target=read, args=(how,))
        for how in (lambda: state["x"], state.text, lambda: list(state.events()))
    ]
    for reader in readers:
        reader.start()
    state.cancel()
    for reader in readers:
        reader.join(5)
    assert [type(error) for error in raised] == [sg.ProgramCancelled] * 3
    assert isinstance(state.error(), sg.ProgramCancelled)


def test_ctrl_c_ends_a_run(gate: Any) -> None:
    mock = sg.Mock(gate)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x")
        s["x"]

    def interrupt() -> None:
        gate.reached.wait(5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        program.run(backend=mock)
    assert mock.num_open == 0


def test_dropping_a_running_state_cancels_it(gate: Any) -> None:
    mock = sg.Mock(gate)
    ended = threading.Event()

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x")
        try:
            s["x"]
        except sg.ProgramCancelled:
            ended.set()
            raise

    state = program.run(backend=mock, stream=True)
    assert gate.reached.wait(5)
    del state
    assert ended.wait(5)


def test_cancelling_from_within_and_after_the_end(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("x")
        s.cancel()

    with pytest.raises(sg.ProgramCancelled, match="program was cancelled"):
        program.run(backend=mock)

    @sg.function
    def fine(s: sg.ProgramState) -> None:
        s += sg.gen("x")

    state = fine.run(backend=mock)
    state.cancel()
    assert state["x"] == "mock"
    assert state.error() is None
    with pytest.raises(sg.ProgramEnded, match="fine is over"):
        state += "more"


def test_a_backend_that_cannot_open(mock: sg.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(mock, "open", refuse)

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.gen("x")
        return s["x"]

    with pytest.raises(sg.ProgramError, match="gone") as caught:
        program.run(backend=mock)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_what_the_backend_cannot_do_is_refused_where_it_is_asked(mock: sg.Mock) -> None:
    mock.capabilities = sg.Capabilities(constraints=frozenset({"Regex"}), score=False, tokens=False, checkpoints=False)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("a", regex="a")
        for expr in (sg.gen("b", json_schema={}), sg.select("c", ["1"]), sg.gen("d", priority=3)):
            with pytest.raises(sg.BackendCapabilityError, match="mock backend"):
                s += expr
        for call in (s.checkpoint, s.tokens):
            with pytest.raises(sg.BackendCapabilityError, match="mock backend"):
                call()

    assert program.run(backend=mock)["a"] == "a"


def test_writing_ahead_means_nothing_where_tokens_are_at_hand(mock: sg.Mock) -> None:
    @sg.function(num_api_spec_tokens=8)
    def speculative(s: sg.ProgramState) -> None:
        s += "x" + sg.gen("a", stop=".")

    state = speculative.run(backend=mock)
    assert state["a"] == "mock"
    assert (state.usage().gens, state.usage().saved_calls) == (1, 0)


def test_options_and_pictures_the_backend_does_not_take(mock: sg.Mock) -> None:
    mock.capabilities = sg.Capabilities(gen_options=frozenset({"max_tokens", "temperature"}))

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("a", 5, temperature=0, top_p=1.0, top_k=-1, min_p=0)
        for expr, what in (
            (sg.gen("b", top_k=3), "top_k=3"),
            (sg.gen("b", token_healing=True), "token_healing=True"),
            (sg.separate_reasoning(sg.gen("b", regex="a"), "qwen3"), "behind separated reasoning"),
            (sg.image("https://example.org/a.png"), "image"),
        ):
            with pytest.raises(sg.BackendCapabilityError, match=f"{what}.* mock backend"):
                s += expr

    program.run(backend=mock)
    with pytest.raises(sg.BackendCapabilityError, match="seed=7"):
        program.run(backend=mock, seed=7)


def test_a_refused_expression_leaves_nothing_behind(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        with pytest.raises(ValueError, match="inside role"):
            s += "a" + sg.user_begin() + sg.gen("x") + sg.system_begin()
        s += sg.user("b")

    state = program.run(backend=mock)
    assert state.messages() == [{"role": "user", "content": "b"}]
    assert "x" not in state
    assert mock.calls == []


@pytest.mark.parametrize("struck", [MemoryError("struck"), SystemExit("struck")])
def test_when_the_engine_dies_everybody_hears_why(
    struck: BaseException, start_tiny_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # the thread's own report of its death is expected
    endless = sg.gen("x", 1500, ignore_eos=True)

    @sg.function
    def plain(s: sg.ProgramState) -> None:
        s += "the " + endless
        s.tokens()

    @sg.function
    def forking(s: sg.ProgramState) -> None:
        forks = s.fork(3)
        forks += endless
        forks.join("concat_and_append")
        s += sg.select("y", ["yes", "no"])

    @sg.function
    async def awaiting(s: sg.ProgramState) -> None:
        s += "one " + endless
        await s.get("x")

    def strike() -> None:
        raise struck

    with start_tiny_engine() as engine:
        states = [one.run(backend=engine, stream=True) for one in (plain, forking, awaiting) * 2]
        next(states[0].text_iter("x"))
        engine._core.post(strike)
        died = time.monotonic()
        for state in states:
            with pytest.raises(sg.ProgramError, match="the engine died: struck") as caught:
                state.get_var("x", timeout=10)
            assert caught.value.__cause__ is not None
            assert caught.value.__cause__.__cause__ is struck
        with pytest.raises(sg.ProgramError, match="the engine died: struck"):
            plain.run(backend=engine, timeout=10)
        assert time.monotonic() - died < 5
