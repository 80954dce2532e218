"""ToldSession: a session that keeps what it is told, to tell it to a session of another backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

__all__ = ["ToldSession"]


class ToldSession(ABC):
    """What a session is told, as the name of a method with its value."""

    def __init__(self) -> None:
        self._label: str | None = None

    @abstractmethod
    def _tell(self, what: str, value: Any) -> None:
        """Takes up one piece: the method's name, and what it was called with."""

    def label(self, name: str | None) -> None:
        """The next generate or score is for the variable `name`."""
        self._label = name

    def append(self, content: str | Sequence[int]) -> None:
        """More text, or token ids, which are those of the backend that it is told to."""
        self._tell("append", content if isinstance(content, str) else tuple(content))

    def append_image(self, source: str) -> None:
        """A picture."""
        self._tell("append_image", source)

    def begin_role(self, role: str) -> None:
        """A message of this role begins."""
        self._tell("begin_role", role)

    def end_role(self, role: str) -> None:
        """It ends."""
        self._tell("end_role", role)
