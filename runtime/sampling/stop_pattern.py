"""StopPattern: where a pattern matches first in a text that comes character by character."""

from __future__ import annotations

from copy import copy
from functools import lru_cache

from grammars import GrammarError
from grammars.regular.automaton import Automaton
from grammars.regular.python_syntax import read_python
from grammars.regular.syntax import shown
from runtime.errors import InvalidParameter

__all__ = ["MAX_STOP_PATTERN", "StopPattern", "pattern_automaton"]

MAX_STOP_PATTERN = 1024
"""Longest pattern that is taken, in characters."""


class StopPattern:
    """Looks for a pattern in a text, from all places at once, so that no text makes a character dear.

    Args:
        pattern: Python's syntax without references, atomic groups, possessive repetitions and `(?x)`; look-around at
            one character only.

    Raises:
        InvalidParameter: it is not such a pattern, is too long or too big, or matches the empty text.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._automaton = pattern_automaton(pattern)
        self._threads: tuple[int, ...] = ()
        self._starts: tuple[int, ...] = ()
        self._before: str | None = None
        self._num_read = 0

    @property
    def under_way(self) -> int:
        """The first place from which a match may be under way; the text's length so far where there is none."""
        return self._starts[0] if self._starts else self._num_read

    def read(self, char: str) -> int | None:
        """Reads a character.

        Returns:
            Where the first match begins that `re.search` finds in the text so far; None while it finds none.
        """
        moved = self._automaton.advance(self._threads, self._before, char)
        starts = (*self._starts, self._num_read, self._num_read + 1)
        self._threads = moved.threads
        self._starts = tuple([starts[source] for source in moved.sources])
        self._before = char
        self._num_read += 1
        return None if moved.ended is None else starts[moved.ended]

    def fork(self) -> StopPattern:
        """An independent one at the same point of the text."""
        return copy(self)  # all that changes is replaced, never changed in place


@lru_cache(maxsize=128)
def pattern_automaton(pattern: str) -> Automaton:
    """What reads texts for a pattern; many texts share it.

    Raises:
        InvalidParameter: as `StopPattern`.
    """
    if not isinstance(pattern, str):
        raise InvalidParameter("stop_regex", pattern, "a regular expression, as a string")
    if len(pattern) > MAX_STOP_PATTERN:
        raise InvalidParameter("stop_regex", shown(pattern), f"a pattern of at most {MAX_STOP_PATTERN} characters")
    try:
        automaton = Automaton(read_python(pattern, unicode=True), shown(pattern))
    except GrammarError as error:
        raise InvalidParameter("stop_regex", pattern, f"a pattern that can be looked for ({error})") from error
    if automaton.accepts_empty:
        raise InvalidParameter("stop_regex", pattern, "a pattern that does not match the empty text")
    return automaton
