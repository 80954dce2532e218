"""RoutedHistory: what a router's session holds and what it still has to do, independent of the backend it is at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.handle import Chunk, Handle
from sgdsl.errors import BackendCapabilityError

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend
    from sgdsl.backends.routed_call import RoutedCall
    from sgdsl.backends.telling import Telling
    from sgdsl.chat import Conversation

__all__ = ["FAR", "Mark", "Piece", "Step", "pipe", "shifted"]

FAR = 1 << 40
"""More tokens than any session holds: what a session's marks on two backends are apart."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what the session holds: what it was told, or what a call on a backend wrote.

    Attributes:
        what, value: the method that tells it, and with what.
        written: of a gen or select, its result to be; `choices` are a select's.
        backend: where token ids come from.
    """

    what: str
    value: Any = None
    written: Handle[Any] | None = None
    choices: tuple[str, ...] = ()
    backend: Backend | None = None

    def text(self) -> str:
        """As text, once it is there."""
        if self.written is not None:
            result = self.written.result()
            return self.choices[result.index] if self.choices else str(result.text)
        if isinstance(self.value, str):
            return self.value
        if self.backend is None:
            raise BackendCapabilityError("moving token ids to another backend", "router")
        return "".join(map(self.backend.token_text, self.value))

    def num_chars(self) -> int:
        """Characters of text it is known to be."""
        if self.what != "append":
            return 0
        if self.written is not None:
            return len(self.text()) if self.written.done() and self.written.error() is None else 0
        return len(self.value)


@dataclass(eq=False, slots=True)
class Mark:
    """A point to return to: on which session of a backend it is, and how much of the history stands before it."""

    count: Handle[int]
    telling: Telling | None
    length: int
    conversation: Conversation | None
    offset: int = 0

    def value(self) -> int | None:
        """The number of tokens, where it is known."""
        return self.count.result() if self.count.done() and self.count.error() is None else None


@dataclass(eq=False, slots=True)
class Step:
    """Something to do after what waits because the session is about to move.

    Attributes:
        call, handle: of a call on a backend, what it is and who waits for it.
        before: what the session holds before it.
        always: done also where the session has failed.
    """

    run: Callable[[], Handle[Any] | None]
    call: RoutedCall | None = None
    handle: Handle[Any] | None = None
    before: tuple[Piece, ...] = ()
    always: bool = False


def pipe(made: Handle[Any], handle: Handle[Any]) -> None:
    """What comes of one handle comes of the other."""

    def arrived(chunk: Chunk | None) -> None:
        error = made.error()
        if chunk is not None:
            handle.push(chunk)
        elif error is not None:
            handle.fail(error)
        else:
            handle.finish(made.result())

    made.subscribe(arrived)


def shifted(count: Handle[int], offset: int) -> Handle[int]:
    """The number that is to come, and `offset` more."""
    made: Handle[int] = Handle(_flush=count._flush)

    def arrived(chunk: Chunk | None) -> None:
        error = count.error()
        if error is not None:
            made.fail(error)
        else:
            made.finish(count.result() + offset)

    count.subscribe(arrived)
    return made
