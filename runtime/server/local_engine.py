"""LocalEngine: an engine of this very process as the server sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.engine import Engine
from runtime.handle import Handle

if TYPE_CHECKING:
    from grammars import Spec
    from runtime.chat_template import ChatTemplate
    from runtime.session import Session
    from runtime.tokenizer import Tokenizer

__all__ = ["LocalEngine"]

T = TypeVar("T")


class LocalEngine:
    """Adapts `Engine` to `ServedEngine`: what would block there runs in a thread here.

    Args:
        engine: stays its owner's, who shuts it down.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiter = ThreadPoolExecutor(1, thread_name_prefix="sgdsl-server")
        self._model_name = engine.describe()["model"]

    @property
    def model_name(self) -> str:
        """What clients call the model."""
        return self._model_name

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self._engine.tokenizer

    @property
    def chat_template(self) -> ChatTemplate | None:
        """The model's chat template, if it has one."""
        return self._engine.chat_template

    @property
    def context_length(self) -> int:
        """Tokens of the longest sequence."""
        return self._engine.context_length

    @property
    def failure(self) -> BaseException | None:
        """Why the engine serves nobody now; None while it does."""
        return self._engine.failure

    def open(self, *, namespace: str = "", program: str = "") -> Session:
        """Opens an empty session."""
        return self._engine.open(namespace=namespace, program=program)

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many sessions are going to append."""
        self._engine.remember(texts)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile grammars that will be needed."""
        self._engine.compile_ahead(constraints)

    def stats(self) -> Handle[dict[str, Any]]:
        """Counters, as `Engine.stats`."""
        return self._later(self._engine.stats)

    def server_info(self) -> Handle[dict[str, Any]]:
        """What runs, and why, as `Engine.server_info`; `engine_pid` too."""
        return self._later(lambda: {**self._engine.server_info(), "engine_pid": os.getpid()})

    def flush_cache(self) -> Handle[int]:
        """Forgets every prefix that nothing running needs; the tokens forgotten."""
        return self._later(self._engine.flush_cache)

    def cache(self, limit: int, namespace: str | None = None) -> Handle[dict[str, Any]]:
        """What is in the prefix cache, and who holds what, as `Engine.cache`."""
        return self._later(lambda: self._engine.cache(limit, namespace=namespace))

    def unpin(self, pin: str) -> Handle[bool]:
        """Ends a pin; False where there is no such one."""
        return self._later(lambda: self._engine.unpin(pin))

    def _later(self, ask: Callable[[], T]) -> Handle[T]:
        handle: Handle[T] = Handle()

        def work() -> None:
            try:
                handle.finish(ask())
            except Exception as error:
                handle.fail(error)

        self._waiter.submit(work)
        return handle
