from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Queue
from typing import Any

import pytest

from grammars import GrammarLimit, InvalidSpec, Regex
from grammars.errors import GrammarCancelled, GrammarTimeout
from runtime.compilation import Compilation
from runtime.stats import Stats


class Text(str):
    """A text in a grammar's place."""

    warnings: tuple[str, ...] = ()


class Compiler:
    """Compiles a pattern to itself, each when its gate is open."""

    def __init__(self) -> None:
        self.gates: dict[Regex, threading.Event] = {}
        self.begun: Queue[Regex] = Queue()
        self.kept: dict[Regex, Any] = {}

    def gate(self, spec: Regex) -> threading.Event:
        return self.gates.setdefault(spec, threading.Event())

    def find(self, spec: Regex) -> Any:
        return self.kept.get(spec)

    def compile(self, spec: Regex, is_cancelled: Callable[[], bool]) -> Any:
        self.begun.put(spec)
        if spec in self.gates:
            assert self.gates[spec].wait(10)
        if "late" in spec.pattern:
            raise GrammarTimeout(spec.pattern)
        if is_cancelled():
            raise GrammarCancelled(spec.pattern)
        if "(" in spec.pattern:
            raise InvalidSpec(spec.pattern)
        self.kept[spec] = Text(threading.current_thread().name)
        return self.kept[spec]


class Loop:
    """The engine's thread: works off what is posted when told to."""

    def __init__(self) -> None:
        self.posted: Queue[Callable[[], None]] = Queue()

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.posted.get(timeout=10)()


@pytest.fixture
def compiler() -> Compiler:
    return Compiler()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def stats() -> Stats:
    return Stats()


@pytest.fixture
def make(compiler: Compiler, loop: Loop, stats: Stats) -> Iterator[Callable[..., Compilation]]:
    made: list[Compilation] = []

    def build(most_seconds: float = 30.0) -> Compilation:
        made.append(Compilation(compiler, loop.posted.put, stats, most_seconds))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for gate in compiler.gates.values():
        gate.set()
    for compilation in made:
        compilation.shutdown()


def test_it_compiles_elsewhere_and_reports_through_post(
    make: Callable[..., Compilation], loop: Loop, stats: Stats
) -> None:
    compilation = make()
    results: list[Future[Any]] = []
    assert compilation.find(Regex("a+")) is None
    compilation.submit(Regex("a+"), results.append)
    action = loop.posted.get(timeout=10)
    assert results == []
    action()
    assert "sgdsl-grammar" in results[0].result()
    assert compilation.find(Regex("a+")) == results[0].result()
    assert (stats.grammar_compilations, stats.grammar_cache_hits, stats.grammar_failures) == (1, 1, 0)
    assert stats.grammar_compile_seconds > 0


def test_a_failure_is_in_the_future(make: Callable[..., Compilation], loop: Loop, stats: Stats) -> None:
    results: list[Future[Any]] = []
    make().submit(Regex("(("), results.append)
    loop.turn()
    with pytest.raises(ValueError, match=r"\(\("):
        results[0].result()
    assert (stats.grammar_compilations, stats.grammar_failures) == (1, 1)


def test_all_who_want_the_same_wait_for_one_compilation(
    make: Callable[..., Compilation], compiler: Compiler, loop: Loop
) -> None:
    compilation = make()
    gate = compiler.gate(Regex("a"))
    results: list[Future[Any]] = []
    for _ in range(5):
        compilation.submit(Regex("a"), results.append)
    gate.set()
    loop.turn()
    assert len({future.result() for future in results}) == 1
    assert len(results) == 5
    assert compiler.begun.qsize() == 1


def test_what_nobody_waits_for_any_more_is_not_begun(
    make: Callable[..., Compilation], compiler: Compiler, loop: Loop
) -> None:
    compilation = make()
    busy = [Regex("a"), Regex("b")]
    for spec in busy:
        compiler.gate(spec)
        compilation.submit(spec, lambda done: None)
        compiler.begun.get(timeout=10)
    results: list[Future[Any]] = []
    gone = compilation.submit(Regex("gone"), results.append)
    first, second = (compilation.submit(Regex("kept"), results.append) for _ in range(2))
    compilation.drop(gone)
    compilation.drop(first)
    compilation.drop(first)  # once more changes nothing
    for spec in busy:
        compiler.gate(spec).set()
    loop.turn(3)
    assert [future.result() for future in results] == [compiler.kept[Regex("kept")]]
    assert compiler.begun.get(timeout=10) == Regex("kept")
    assert compiler.begun.empty()
    compilation.drop(second)
    again = compilation.submit(Regex("gone"), results.append)
    loop.turn()
    assert results[-1].result() == compiler.kept[again.task.spec]


def test_what_takes_too_long_is_given_up_and_holds_nobody_up(
    make: Callable[..., Compilation], compiler: Compiler, loop: Loop, stats: Stats
) -> None:
    compilation = make(0.05)
    slow = [Regex("slow"), Regex("slower")]
    results: list[Future[Any]] = []
    for spec in slow:
        compiler.gate(spec)
        compilation.submit(spec, results.append)
    loop.turn(2)
    for future in results:
        with pytest.raises(GrammarLimit, match=r"grammar_compile_seconds=0\.05"):
            future.result()
    compilation.submit(Regex("x"), results.append)  # both workers are still at it
    loop.turn()
    assert results[2].result() == compiler.kept[Regex("x")]
    compilation.submit(slow[0], results.append)  # is not begun a second time
    loop.turn()
    assert isinstance(results[3].exception(), GrammarLimit)
    assert [compiler.begun.get(timeout=10) for _ in range(3)][2] == Regex("x")
    assert (stats.grammar_failures, compiler.begun.qsize()) == (2, 0)
    for spec in slow:
        compiler.gate(spec).set()
    loop.turn(2)
    assert compilation.find(slow[0]) is not None  # for the next one who asks


def test_shutdown_begins_nothing_more(make: Callable[..., Compilation], compiler: Compiler) -> None:
    compilation = make()
    ended: list[Future[Any]] = []
    for pattern in "abc":  # two at a time: the third waits
        compiler.gate(Regex(pattern))
        compilation.submit(Regex(pattern), ended.append)
    begun = {compiler.begun.get(timeout=10), compiler.begun.get(timeout=10)}
    compilation.shutdown()
    assert [future.cancelled() for future in ended] == [True] * 3
    for pattern in "abc":
        compiler.gate(Regex(pattern)).set()
    with pytest.raises(RuntimeError):
        compilation.submit(Regex("d"), ended.append)
    assert begun == {Regex("a"), Regex("b")}
    assert compiler.begun.empty()


def test_what_failed_fails_again_at_once(
    make: Callable[..., Compilation], compiler: Compiler, loop: Loop, stats: Stats
) -> None:
    compilation = make()
    results: list[Future[Any]] = []
    compilation.submit(Regex("(("), results.append)
    loop.turn()
    compilation.submit(Regex("(("), results.append)
    assert len(results) == 1, "not before the caller has its ticket"
    dropped = compilation.submit(Regex("(("), results.append)
    compilation.drop(dropped)
    loop.turn(2)
    assert [str(future.exception()) for future in results] == ["(("] * 2
    assert (compiler.begun.qsize(), stats.grammar_compilations, stats.grammar_failures) == (1, 1, 3)


def test_what_failed_for_want_of_time_is_tried_again(
    make: Callable[..., Compilation], compiler: Compiler, loop: Loop
) -> None:
    compilation = make()
    results: list[Future[Any]] = []
    for _ in range(2):
        compilation.submit(Regex("late"), results.append)
        loop.turn()
    assert compiler.begun.qsize() == 2


def test_what_nobody_waits_for_any_more_is_told_to_stop(
    make: Callable[..., Compilation], compiler: Compiler, loop: Loop, stats: Stats
) -> None:
    compilation = make()
    gate = compiler.gate(Regex("a"))
    results: list[Future[Any]] = []
    ticket = compilation.submit(Regex("a"), results.append)
    compiler.begun.get(timeout=10)
    compilation.drop(ticket)
    gate.set()
    loop.turn()
    assert results == []
    assert compilation.find(Regex("a")) is None
    compilation.submit(Regex("a"), results.append)  # is no failure to be told again
    loop.turn()
    assert results[0].result() == compiler.kept[Regex("a")]
    assert stats.grammar_failures == 0
