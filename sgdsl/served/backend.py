"""ServedBackend: the server's engine as a backend for programs that the server runs itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from sgdsl.backends.base import BackendSession, Capabilities
from sgdsl.chat import ChatTemplate

if TYPE_CHECKING:
    from grammars.spec import Spec
    from runtime.server.served_engine import ServedEngine

__all__ = ["ServedBackend"]


class ServedBackend:
    """Opens sessions in one namespace of an engine, wherever that runs.

    Args:
        engine: stays the server's.
        namespace: whose cache programs use.
    """

    name = "server"

    def __init__(self, engine: ServedEngine, namespace: str = "") -> None:
        self._engine = engine
        self._namespace = namespace
        self.capabilities = Capabilities(
            context_length=engine.context_length,
            tokenizes=True,
            compiles_ahead=True,
            unconditional=True,
            priority=True,
            hints=True,
            concat=True,
        )
        self.chat_template = cast("ChatTemplate | None", engine.chat_template)

    def open(self, *, namespace: str = "", program: str = "") -> BackendSession:
        """A new, empty session."""
        inner = f"{self._namespace}/{namespace}" if namespace else self._namespace
        return cast(BackendSession, self._engine.open(namespace=inner, program=program))

    def token_text(self, token: int) -> str:
        """The text of one token."""
        return self._engine.tokenizer.decode([token], skip_special_tokens=False)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text that is appended to a session holding some already."""
        return self._engine.tokenizer.encode(text)

    def count_tokens(self, text: str) -> int:
        """How many tokens `tokenize` makes of a text."""
        return len(self.tokenize(text))

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many programs append, so that each is tokenized once."""
        self._engine.remember(texts)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile; does not wait."""
        self._engine.compile_ahead(constraints)

    def close(self) -> None:
        """Nothing: the engine is the server's."""
