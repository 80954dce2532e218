from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from grammars import Regex, Vocabulary
from grammars.compiler import GrammarCompiler
from runtime.compilation import Compilation


@pytest.fixture
def compiler() -> GrammarCompiler:
    return GrammarCompiler(Vocabulary([b"a", b"b", None], (2,)))


def test_it_compiles_elsewhere_and_reports_through_post(compiler: GrammarCompiler) -> None:
    posted: list[Callable[[], None]] = []
    arrived = threading.Event()
    threads: list[str] = []

    def post(action: Callable[[], None]) -> None:
        threads.append(threading.current_thread().name)
        posted.append(action)
        arrived.set()

    compilation = Compilation(compiler, post)
    results: list[Future[Any]] = []
    compilation.submit(Regex("a+"), results.append)
    assert arrived.wait(10)
    assert results == []
    posted[0]()
    assert results[0].result().matcher().accept(0)
    assert "grammar" in threads[0]
    compilation.shutdown()


def test_a_failure_is_in_the_future(compiler: GrammarCompiler) -> None:
    done: Future[Any] = Future()
    compilation = Compilation(compiler, lambda action: action())
    compilation.submit(Regex("(("), done.set_result)
    failed = done.result(timeout=10)
    with pytest.raises(ValueError, match=r"\(\("):
        failed.result()
    compilation.shutdown()


def test_shutdown_begins_nothing_more(compiler: GrammarCompiler) -> None:
    gate = threading.Event()
    begun: list[Regex] = []

    def compile_slowly(spec: Regex) -> None:
        begun.append(spec)
        gate.wait(10)

    compiler.compile = compile_slowly  # type: ignore[method-assign, assignment]
    compilation = Compilation(compiler, lambda action: action())
    ended: list[Future[Any]] = []
    for pattern in "abc":  # two at a time: the third waits
        compilation.submit(Regex(pattern), ended.append)
    compilation.shutdown()
    assert [future.cancelled() for future in ended] == [True]
    gate.set()
    with pytest.raises(RuntimeError):
        compilation.submit(Regex("d"), ended.append)
    assert Regex("c") not in begun
