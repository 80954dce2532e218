"""StopStrings: an automaton that looks for many strings at once (Aho and Corasick, doi:10.1145/360825.360855)."""

from __future__ import annotations

from array import array
from collections import deque
from functools import lru_cache

from runtime.errors import InvalidParameter

__all__ = ["MAX_STOPS", "MAX_STOP_CHARACTERS", "StopStrings", "check_stop_strings", "stop_strings"]

MAX_STOPS = 1024
"""So many stop strings a request may have."""
MAX_STOP_CHARACTERS = 16_384
"""So many characters they may have in all."""

CODES = 0x110000


class StopStrings:
    """Follows a text; a state is the longest of its endings that begins one of the strings, and 0 is the empty one.

    States are as many as the strings have characters. A character costs a constant number of steps on average, however
    many strings there are. Holds no text's progress, so that any number of readers may share it.

    Args:
        strings: non-empty strings.
    """

    def __init__(self, strings: tuple[str, ...]) -> None:
        self.lengths = array("l", [0])
        """By state: its number of characters."""
        self._moves: dict[int, int] = {}  # state · CODES + code point → the longer state
        self._completed: dict[int, str] = {}  # the longest string that a state ends with
        for string in strings:
            self._add(string)
        self._shorter = array("l", [0] * len(self.lengths))  # the next shorter ending that begins a string too
        self._link()

    def follow(self, state: int, char: str) -> int:
        """The state after one more character."""
        code = ord(char)
        moves = self._moves
        longer = moves.get(state * CODES + code)
        while longer is None and state:
            state = self._shorter[state]
            longer = moves.get(state * CODES + code)
        return longer or 0

    def completed(self, state: int) -> str | None:
        """The longest string that the text ends with in that state, if it does with any."""
        return self._completed.get(state)

    def _add(self, string: str) -> None:
        state = 0
        for char in string:
            key = state * CODES + ord(char)
            longer = self._moves.get(key)
            if longer is None:
                longer = self._moves[key] = len(self.lengths)
                self.lengths.append(self.lengths[state] + 1)
            state = longer
        self._completed[state] = string

    def _link(self) -> None:
        """Shorter states first, because each takes over what its next shorter ending completes."""
        longer: list[list[int]] = [[] for _ in self.lengths]
        for key in self._moves:
            longer[key // CODES].append(key)
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            for key in longer[state]:
                after = self._moves[key]
                if state:
                    self._shorter[after] = self.follow(self._shorter[state], chr(key % CODES))
                ends_with = self._completed.get(self._shorter[after])
                if ends_with is not None:
                    self._completed.setdefault(after, ends_with)
                waiting.append(after)


def check_stop_strings(strings: object) -> None:
    """Returns where they are what a request may have.

    Raises:
        InvalidParameter: they are no tuple of non-empty strings, too many, or too long in all.
    """
    if not isinstance(strings, list | tuple) or not all(isinstance(one, str) and one for one in strings):
        raise InvalidParameter("stop", strings, "a tuple of non-empty strings")
    if len(strings) > MAX_STOPS:
        raise InvalidParameter("stop", f"{len(strings)} strings", f"at most {MAX_STOPS} strings")
    total = sum(map(len, strings))
    if total > MAX_STOP_CHARACTERS:
        raise InvalidParameter("stop", f"{total} characters", f"at most {MAX_STOP_CHARACTERS} characters in all")


@lru_cache(maxsize=32)
def stop_strings(strings: tuple[str, ...]) -> StopStrings:
    """The automaton of some strings; many texts share it."""
    return StopStrings(strings)
