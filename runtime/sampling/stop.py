"""StopMatcher: finds where a text must end while the text is still being made."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass

from runtime.sampling.partial import PartialPattern

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
    string, and for a pattern the place `PartialPattern` finds. For patterns with look-around or backreferences
    everything is held back until the end. What is emitted is never part of a stop found later.

    Args:
        stop: non-empty strings.
        stop_regex: a valid pattern in Python's syntax.
    """

    def __init__(self, stop: tuple[str, ...] = (), stop_regex: str | None = None) -> None:
        self._pieces: list[str] = []
        self._strings = _Strings(stop) if stop else None
        self._pattern = re.compile(stop_regex) if stop_regex is not None else None
        self._partial = PartialPattern(stop_regex) if stop_regex is not None else None
        self._state = ""  # the longest suffix of the text that begins a stop string
        self._text = ""  # all text, kept only while there is something to look for
        self._emitted = 0  # characters of it
        self._under_way = 0  # where the pattern's first partial match starts
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
        read = len(self._text)
        self._text += delta
        for end in range(read + 1, len(self._text) + 1):
            begin = self._found(end)
            if begin is not None:
                return StopResult(self._emit(begin), self._matched)
        return StopResult(self._emit(min(self._under_way, len(self._text) - len(self._state))))

    def flush(self) -> str:
        """The text held back, now that no more comes; nothing after a match."""
        if self._matched is not None:
            return ""
        return self._emit(len(self._text))

    def fork(self) -> StopMatcher:
        """An independent matcher at the same point of the text."""
        twin = copy(self)
        twin._pieces = list(self._pieces)
        return twin

    def _found(self, end: int) -> int | None:
        """Reads the character before `end`; where the stop begins that it completes, if it does."""
        begin: int | None = None
        if self._strings is not None:
            self._state = self._strings.follow(self._state, self._text[end - 1])
            matched = self._strings.completed(self._state)
            if matched is not None:
                begin, self._matched = end - len(matched), matched
        if self._pattern is not None and self._partial is not None:
            match = self._pattern.search(self._text, self._under_way, end)
            if match is not None and (begin is None or match.start() < begin):
                begin, self._matched = match.start(), self._pattern.pattern
            self._under_way = self._partial.first(self._text, self._under_way, end)
        else:
            self._under_way = end
        return begin

    def _emit(self, until: int) -> str:
        emitted = self._text[self._emitted : until]
        self._emitted = until
        return emitted


class _Strings:
    """An automaton over the beginnings of some strings (Aho and Corasick 1975); a state is such a beginning."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self._strings = frozenset(strings)
        self._begins = frozenset(s[:size] for s in strings for size in range(1, len(s) + 1))
        self._known: dict[tuple[str, str], str] = {}

    def follow(self, state: str, character: str) -> str:
        """The longest suffix of state + character that begins a string."""
        if not state and character not in self._begins:
            return ""
        key = (state, character)
        if key not in self._known:
            longer = state + character
            suffixes = (longer[start:] for start in range(len(longer)))
            self._known[key] = next((suffix for suffix in suffixes if suffix in self._begins), "")
        return self._known[key]

    def completed(self, state: str) -> str | None:
        """The longest string `state` ends with, if any."""
        if not state:
            return None
        return next((state[i:] for i in range(len(state)) if state[i:] in self._strings), None)
