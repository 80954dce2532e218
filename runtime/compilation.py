"""Compilation: constraints become grammars in a thread of their own, so that the step loop never waits for one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from grammars import Grammar, Spec
from grammars.compiler import GrammarCompiler

__all__ = ["Compilation"]

NUM_WORKERS = 2
Post = Callable[[Callable[[], None]], None]


class Compilation:
    """Compiles off the step loop and reports back into it.

    Args:
        compiler: does the work; caches by content.
        post: has a function called in the engine's thread.
    """

    def __init__(self, compiler: GrammarCompiler, post: Post) -> None:
        self._compiler = compiler
        self._post = post
        self._pool = ThreadPoolExecutor(NUM_WORKERS, thread_name_prefix="sgdsl-grammar")

    def find(self, spec: Spec) -> Grammar | None:
        """The grammar, if it is made already."""
        return self._compiler.find(spec)

    def submit(self, spec: Spec, then: Callable[[Future[Grammar]], None]) -> None:
        """Compiles `spec`; `then` gets the ended future, in the engine's thread."""
        future: Future[Grammar] = self._pool.submit(self._compiler.compile, spec)
        future.add_done_callback(lambda done: self._post(lambda: then(done)))

    def shutdown(self) -> None:
        """Begins nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
