"""StopMatcher: finds where a text must end while the text is still being made."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from runtime.sampling.stop_pattern import StopPattern
from runtime.sampling.stop_strings import stop_strings

__all__ = ["StopMatcher", "StopResult"]


@dataclass(frozen=True, slots=True)
class StopResult:
    """What one piece of text changed.

    Attributes:
        emit: text now certain to be no part of a stop.
        matched: the stop string, or the pattern, that ended the text.
    """

    emit: str
    matched: str | None = None


class StopMatcher:
    """Looks for stop strings and a stop pattern in a text that comes in pieces.

    The text is read character by character, so how it was cut into pieces changes nothing. It ends at the first
    character after which `text` so far contains a stop: of several stops the one that is complete first counts,
    of those complete at the same character the one that starts first. A pattern is searched as `re.search` does
    in the text so far, so `$` and `\\b` hold at its end, and a greedy tail such as the `+` of `a+` never grows.

    Held back is the text from the first place where a stop may be under way: the longest suffix that begins a stop
    string, or the beginning of the pattern's oldest unfinished match. What is emitted is never part of a stop found
    later. What a character costs depends neither on the text nor on the number of stops.

    Args:
        stop: non-empty strings.
        stop_regex: a pattern as `StopPattern` takes it.

    Raises:
        InvalidParameter: it takes another pattern than that.
    """

    def __init__(self, stop: tuple[str, ...] = (), stop_regex: str | None = None) -> None:
        self._pieces: list[str] = []
        self._strings = stop_strings(tuple(stop)) if stop else None
        self._pattern = StopPattern(stop_regex) if stop_regex is not None else None
        self._state = 0
        self._held = ""  # the text that is not emitted
        self._num_emitted = 0  # characters before it
        self._matched: str | None = None

    @property
    def total(self) -> str:
        """All text pushed so far, a stop and whatever followed it included."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def matched(self) -> str | None:
        """What ended the text, if anything did."""
        return self._matched

    def push(self, delta: str) -> StopResult:
        """Reads the next piece. Once a stop has matched, later pieces only count towards `total`."""
        self._pieces.append(delta)
        if self._matched is not None:
            return StopResult("", self._matched)
        if self._strings is None and self._pattern is None:
            return StopResult(delta)
        end = self._num_emitted + len(self._held)
        self._held += delta
        for char in delta:
            end += 1
            begin = self._found(char, end)
            if begin is not None:
                return StopResult(self._emit(begin), self._matched)
        under_way = end if self._pattern is None else self._pattern.under_way
        if self._strings is not None:
            under_way = min(under_way, end - self._strings.lengths[self._state])
        return StopResult(self._emit(under_way))

    def flush(self) -> str:
        """The text held back, now that no more comes; nothing after a match."""
        if self._matched is not None:
            return ""
        return self._emit(self._num_emitted + len(self._held))

    def fork(self) -> StopMatcher:
        """An independent matcher at the same point of the text."""
        twin = copy(self)
        twin._pieces = list(self._pieces)
        twin._pattern = None if self._pattern is None else self._pattern.fork()
        return twin

    def _found(self, char: str, end: int) -> int | None:
        """Reads the character before `end`; where the stop begins that it completes, if it does."""
        begin: int | None = None
        if self._strings is not None:
            self._state = self._strings.follow(self._state, char)
            matched = self._strings.completed(self._state)
            if matched is not None:
                begin, self._matched = end - len(matched), matched
        if self._pattern is not None:
            start = self._pattern.read(char)
            if start is not None and (begin is None or start < begin):
                begin, self._matched = start, self._pattern.pattern
        return begin

    def _emit(self, until: int) -> str:
        size = until - self._num_emitted
        emitted, self._held = self._held[:size], self._held[size:]
        self._num_emitted = until
        return emitted
