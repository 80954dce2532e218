from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

import sgdsl as sg


@sg.function
def program(s: sg.ProgramState, word: str, end: str = ".") -> str:
    s += word + sg.gen("x") + end
    return s["x"]


def echo(prompt: str, params: object) -> str:
    return f"<{prompt}>"


def test_results_are_in_the_items_order() -> None:
    words = [f"w{i}" for i in range(200)]
    states = program.run_batch([{"word": word} for word in words], backend=sg.Mock(echo))
    assert [state.ret_value for state in states] == [f"<{word}>" for word in words]
    mixed = program.run_batch([("a", "!"), {"word": "b"}], backend=sg.Mock(echo), num_threads=1)
    assert [state.text() for state in mixed] == ["a<a>!", "b<b>."]
    assert program.run_batch([], backend=sg.Mock()) == []


def test_items_are_checked_before_anything_runs() -> None:
    mock = sg.Mock()
    for item in [{"wrod": "a"}, (), ("a", "b", "c"), "abc"]:
        with pytest.raises(TypeError, match=r"batch\[1\]"):
            program.run_batch([("a",), item], backend=mock)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="num_threads=0"):
        program.run_batch([("a",)], backend=mock, num_threads=0)
    with pytest.raises(ValueError, match="nonsense"):
        program.run_batch([("a",)], backend=mock, nonsense=1)
    assert mock.calls == []


def test_sampling_defaults_reach_every_item() -> None:
    mock = sg.Mock()
    program.run_batch([("a",), ("b",)], backend=mock, temperature=0, max_tokens=5)
    assert [(call.params.temperature, call.params.max_new_tokens) for call in mock.calls] == [(0, 5)] * 2


@sg.function
async def awaited(s: sg.ProgramState, word: str) -> Any:
    s += word + sg.gen("x")
    return await s.get("x")


def test_async_programs() -> None:
    states = awaited.run_batch([(str(i),) for i in range(20)], backend=sg.Mock(echo))
    assert [state.ret_value for state in states] == [f"<{i}>" for i in range(20)]


def test_a_failure_ends_the_others_unless_it_is_asked_for() -> None:
    def script(prompt: str, params: object) -> Any:
        return OSError("gone") if prompt == "3" else prompt

    items = [(str(i),) for i in range(300)]
    mock = sg.Mock(script)
    with pytest.raises(sg.ProgramError, match='gen "x": gone'):
        program.run_batch(items, backend=mock, num_threads=4)
    assert len(mock.calls) < 300
    results = program.run_batch(items[:10], backend=sg.Mock(script), return_exceptions=True)
    assert [type(result) for result in results].count(sg.ProgramError) == 1
    assert isinstance(results[3], sg.ProgramError)
    assert results[9].ret_value == "9"


def test_the_window_is_bounded_and_generators_can_be_left() -> None:
    mock = sg.Mock(echo)
    results = program.run_batch([(str(i),) for i in range(1000)], backend=mock, num_threads=2, generator_style=True)
    assert next(results).ret_value == "<0>"
    time.sleep(0.05)
    assert len(mock.calls) <= 6
    assert next(results).ret_value == "<1>"
    results.close()
    time.sleep(0.05)
    assert len(mock.calls) <= 8
    assert mock.num_open == 0


def test_every_programs_own_timeout() -> None:
    results = program.run_batch([("a",), ("b",)], backend=sg.Mock(latency=5), timeout=0.05, return_exceptions=True)
    assert [type(result) for result in results] == [sg.ProgramTimeout] * 2
    for bad in (0, -1, "5", True, float("inf")):
        with pytest.raises(ValueError, match=f"timeout={bad!r}"):
            program.run_batch([("a",)], backend=sg.Mock(), timeout=bad)  # type: ignore[arg-type]


def test_a_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    program.run_batch([("a",)] * 7, backend=sg.Mock(), progress_bar=True)
    assert "7/7" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_finished() -> None:
    stuck = threading.Event()

    def script(prompt: str, params: object) -> str:
        return prompt

    @sg.function
    def one(s: sg.ProgramState, number: int) -> int:
        s += str(number) + sg.gen("x")
        s["x"]
        if number >= 5:
            stuck.set()
            s += sg.gen("never", stop="x", seed=1)
            for _ in range(500):
                time.sleep(0.01)
                s += "."
        return number

    def interrupt() -> None:
        stuck.wait(10)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    mock = sg.Mock(script)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught:
        one.run_batch([(i,) for i in range(20)], backend=mock, num_threads=3)
    assert time.monotonic() - started < 4
    assert isinstance(caught.value, sg.BatchInterrupted)
    assert [result.ret_value if result else None for result in caught.value.results] == [0, 1, 2, 3, 4] + [None] * 15
    deadline = time.monotonic() + 5
    while mock.num_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mock.num_open == 0


def test_forks_cost_no_threads() -> None:
    most = [0]

    @sg.function
    def forking(s: sg.ProgramState, number: int) -> Any:
        s += sg.user(str(number))
        forks = s.fork(8)
        forks += sg.assistant(sg.gen("x"))
        forks.join()
        most[0] = max(most[0], threading.active_count())
        return s["x"]

    before = threading.active_count()
    states = forking.run_batch([(i,) for i in range(200)], backend=sg.Mock(), num_threads=6)
    assert [state.ret_value for state in states] == [["mock"] * 8] * 200
    assert most[0] - before <= 6 + 3  # with the main thread, which was there before, at most num_threads + 4


def test_a_batch_inside_a_program_is_part_of_it() -> None:
    mock = sg.Mock(lambda prompt, params: "a b c")

    @sg.function
    def inner(s: sg.ProgramState, n: int) -> None:
        s += f"{n}: " + sg.gen("x", max_tokens=8)

    @sg.function
    def outer(s: sg.ProgramState) -> int:
        return len(inner.run_batch([{"n": n} for n in range(5)], backend=mock))

    state = outer.run(backend=mock)
    assert state.ret_value == 5
    assert state.usage().gens == 5


def test_cancelling_a_program_ends_its_batches() -> None:
    @sg.function
    def inner(s: sg.ProgramState, n: int) -> None:
        s += f"{n}: " + sg.gen("x", max_tokens=8)

    @sg.function
    def outer(s: sg.ProgramState) -> None:
        inner.run_batch([{"n": n} for n in range(5)], backend=slow)

    slow = sg.Mock(lambda prompt, params: "a b c", latency=30.0)
    started = time.monotonic()
    with pytest.raises(sg.ProgramError):
        outer.run(backend=slow, timeout=0.3)
    assert time.monotonic() - started < 10
