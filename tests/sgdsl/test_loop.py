from __future__ import annotations

import threading

import pytest

from sgdsl.loop import Loop


class Script:
    def __init__(self) -> None:
        self.recorded = 0
        self.flushed = threading.Event()

    def flush(self) -> None:
        self.flushed.set()


def test_calls_run_in_order_in_one_thread() -> None:
    loop, seen, done = Loop(), [], threading.Event()
    for number in range(100):
        loop.post(lambda number=number: seen.append((number, threading.get_ident())))  # type: ignore[misc]
    loop.post(done.set)
    assert done.wait(5)
    assert [number for number, _ in seen] == list(range(100))
    assert len({thread for _, thread in seen}) == 1


@pytest.mark.parametrize("kind", [LookupError, SystemExit, KeyboardInterrupt])
def test_a_call_that_raises_does_not_end_the_loop(kind: type[BaseException]) -> None:
    loop, done, reported = Loop(), threading.Event(), []
    loop.on_error = reported.append

    def broken() -> None:
        raise kind("broken")

    loop.post(broken)
    loop.post(done.set)
    assert done.wait(5)
    assert [str(error) for error in reported] == ["broken"]


def test_timers_ring_unless_cancelled() -> None:
    loop, rung = Loop(), []
    loop.later(0.01, lambda: rung.append("a"))
    loop.later(0.01, lambda: rung.append("b")).cancel()
    done = threading.Event()
    loop.later(0.05, done.set)
    assert done.wait(5)
    assert rung == ["a"]


def test_scripts_are_flushed_once_they_are_idle() -> None:
    loop, scripts = Loop(), [Script() for _ in range(3)]
    for script in scripts:
        loop.watch(script)
        script.recorded += 1
    assert all(script.flushed.wait(5) for script in scripts)
    scripts[0].flushed.clear()
    loop.watch(scripts[0])
    assert scripts[0].flushed.wait(5)
