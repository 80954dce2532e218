"""AnswerReader: what a chat model writes, as reasoning, content and calls."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.reasoning import Reasoning, Splitter
from runtime.server.openai.call_reader import CallDelta, CallReader
from runtime.server.openai.tools import Toolbox

__all__ = ["AnswerReader", "Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What some text adds to an answer."""

    reasoning: str = ""
    content: str = ""
    calls: tuple[CallDelta, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.content or self.calls)


class AnswerReader:
    """Reads one answer.

    Args:
        reasoning: how reasoning is marked; None where there is none.
        toolbox: what may be called, and how calls are written; None where nothing can be.
    """

    def __init__(self, reasoning: Reasoning | None, toolbox: Toolbox | None) -> None:
        self._splitter = None if reasoning is None else Splitter(reasoning)
        self._calls = None if toolbox is None else CallReader(toolbox.format, toolbox.names)

    @property
    def has_calls(self) -> bool:
        """Whether a call has begun."""
        return self._calls is not None and self._calls.num_calls > 0

    def feed(self, text: str) -> Piece:
        """What more text adds."""
        thought, said = ("", text) if self._splitter is None else self._splitter.feed(text)
        if self._calls is None or not said:
            return Piece(thought, said)
        said, calls = self._calls.feed(said)
        return Piece(thought, said, tuple(calls))

    def end(self) -> Piece:
        """What is left when nothing more comes."""
        thought, said = ("", "") if self._splitter is None else self._splitter.end()
        if self._calls is None:
            return Piece(thought, said)
        fed, calls = self._calls.feed(said)
        rest, more = self._calls.end()
        return Piece(thought, fed + rest, (*calls, *more))
