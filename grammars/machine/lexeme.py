"""Lexemes: automata over characters as states over bytes, spelled plainly or as the content of a JSON string."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from grammars.machine.layout import (
    BOUNDARY,
    CACHE,
    COUNTED,
    FINAL,
    FORK,
    LEAST,
    LEAST_LEFT,
    LEXEME,
    MOST,
    MOST_LEFT,
    RETURN,
)
from grammars.machine.machine import MOST_EDGES, Machine
from grammars.machine.moves import goto
from grammars.machine.spelling import (
    SHORT,
    CharState,
    LowSurrogate,
    Moves,
    Units,
    controls,
    cut,
    find,
    shifted,
    utf16,
)

__all__ = ["Counts", "Lexemes", "Spelling"]

Spelling: TypeAlias = Literal["plain", "canonical", "json"]
"""Characters as they are; as `json.dumps` without ASCII escaping writes them; in any way JSON allows."""

QUOTE, BACKSLASH, SLASH, LETTER_U = 0x22, 0x5C, 0x2F, 0x75
MAX_STATES_AHEAD = 16
MAX_CHARS_AHEAD = 256
ENDLESS = 2**30
"""As many characters as no text has."""
HEX = b"0123456789abcdefABCDEF"
UTF8_LEADS = ((0x80, 0x7FF, 6, 0xC0), (0x800, 0xFFFF, 12, 0xE0), (0x10000, 0x10FFFF, 18, 0xF0))
"""First and last code point, bits that follow the lead byte, and the lead byte's mark (RFC 3629)."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Bounds on the number of characters in a lexeme, and what a character state says about those to come.

    `left` gives the fewest and the most characters after a state (None: no most).
    """

    low: int
    high: int | None
    left: Callable[[CharState], tuple[int, int | None]]


class Lexemes:
    """The states over bytes of lexemes that are spelled and end alike.

    Args:
        machine: where the states are made.
        spelling: how characters are written. In a JSON spelling the closing quote ends the lexeme; a plain one ends
            where its automaton may.
        greedy: of plain lexemes: they end only where the next byte cannot continue them.
        flags: for every state.
        ending: the move of the closing quote behind a nullable character state; RETURN by default.
        counts: bounds on the number of characters.
        shared: a name under which the masks are kept for all grammars, of an automaton that has a single state.
        name: what a character state is called in every grammar; None for one that has no name there.
        twin: of a character state, one that does the same for whoever reads so many characters at most.
    """

    def __init__(
        self,
        machine: Machine,
        spelling: Spelling,
        *,
        greedy: bool = True,
        flags: int = LEXEME,
        ending: Callable[[CharState], int] | None = None,
        counts: Counts | None = None,
        shared: str = "",
        name: Callable[[CharState], object] | None = None,
        twin: Callable[[CharState, int], CharState] | None = None,
    ) -> None:
        self._machine = machine
        self._spelling = spelling
        self._final = FINAL if greedy else FINAL | FORK
        self._flags = flags | (COUNTED if counts else 0)
        self._ending = ending
        self._counts = counts
        self._shared = shared
        self._name = name
        self._twin = twin
        self._states: dict[object, int] = {}
        self._lead_moves: dict[Moves, list[tuple[int, int]]] = {}

    def on(self, machine: Machine) -> Lexemes:
        """The same lexemes in a machine that began as a copy of this one's, all their states being expanded."""
        other = copy(self)
        other._machine = machine
        other._states, other._lead_moves = self._states.copy(), self._lead_moves.copy()
        return other

    def state(self, chars: CharState) -> int:
        """The state at a boundary between characters."""
        found = self._states.get(chars)
        if found is not None:
            return found
        flags = self._flags | (BOUNDARY if self._counts else 0)
        if self._spelling == "plain" and chars.nullable:
            flags |= self._final
        state = self._machine.state(flags, lambda state: self._expand(state, chars))
        self._describe(state, (chars,), 0, ("boundary",))
        ahead = self._most_asked(chars)
        if self._counts is not None and ahead is not None:
            most = self._machine.tables.longest + ahead
            rows = min(self._counts.low, most) + 1
            block = self._machine.heap.reserve(1 + rows * (most + 1))
            self._machine.heap.data[block] = most
            self._machine.heap.data[state + CACHE] = block
            self._name_later(state, chars, most)
        elif self._counts is None:
            self._name_later(state, chars, 0)
            if self._twin is not None:
                twin = self._twin
                self._machine.lexemes.twin(state, lambda limit: self.state(twin(chars, limit)))
        self._states[chars] = state  # last, so that nobody finds it half made
        return state

    def _name_later(self, state: int, chars: CharState, most: int) -> None:
        """Says how to name a state; `most` characters are told apart by its caches."""
        if self._name is not None and not self._shared:
            find, spelling = self._name, self._spelling

            def name() -> object:
                found = find(chars)
                return None if found is None else (spelling, most, found)

            self._machine.lexemes.name_later(state, name)

    def _most_asked(self, chars: CharState) -> int | None:
        """Most characters that any state from here on asks for; None where that cannot be said soon.

        Within that and what a token reads, numbers of characters are told apart; beyond, they are all alike.
        """
        if self._counts is None:
            return None
        reached, most = [chars], 0
        for state in reached:
            fewest, longest = self._counts.left(state)
            if longest is not None or len(reached) > MAX_STATES_AHEAD:
                return None
            most = max(most, fewest)
            reached += [after for after in dict.fromkeys(to for _, _, to in state.moves()) if after not in reached]
        return most if most <= MAX_CHARS_AHEAD else None

    def _describe(self, state: int, following: Sequence[CharState], begun: int, name: tuple[object, ...]) -> None:
        """Fills in what does not wait for the edges; `begun` characters have been begun and not ended."""
        if self._counts is not None:
            left = [self._counts.left(chars) for chars in following]
            longest = [high for _, high in left]
            data = self._machine.heap.data
            data[state + LEAST_LEFT] = min(ENDLESS, *(low + begun for low, _ in left))
            data[state + MOST_LEFT] = _most(None if None in longest else max(filter(None, longest), default=0) + begun)
            data[state + LEAST] = min(ENDLESS, self._counts.low)
            data[state + MOST] = _most(self._counts.high)
        if self._shared:
            self._machine.lexemes.name(state, (self._shared, *name))

    def _inside(
        self, kind: str, bits: int, moves: Units, following: Iterable[CharState], expand: Callable[[int], None]
    ) -> int:
        """The state inside a character, made once for what it stands before."""
        key = (kind, bits, moves)
        found = self._states.get(key)
        if found is None:
            found = self._machine.state(self._flags, expand)
            ranges = tuple((low, high, isinstance(after, LowSurrogate)) for low, high, after in moves)
            self._describe(found, tuple(dict.fromkeys(following)), 1, (kind, bits, ranges))
            self._states[key] = found
        return found

    def _expand(self, state: int, chars: CharState) -> None:
        moves = chars.moves()
        if not moves or (moves[-1][1] < 0x80 and sum(high - low + 1 for low, high, _ in moves) < MOST_EDGES - 1):
            self._machine.set_edges(state, self._few_edges(chars, moves))
            return
        row = np.zeros(256, np.int32)
        plain = self._spelling == "plain"
        for low, high, after in cut(moves, 0 if plain else 0x20, 0x7F):
            row[low : high + 1] = goto(self.state(after))
        for lead, move in self._leads(cut(moves, 0x80, 0x10FFFF)):
            row[lead] = move
        if not plain:
            row[QUOTE] = 0
            if chars.nullable:
                row[QUOTE] = RETURN if self._ending is None else self._ending(chars)
            row[BACKSLASH] = self._escape(moves)
        self._machine.set_row(state, row)

    def _few_edges(self, chars: CharState, moves: Moves) -> dict[int, int]:
        """The moves where only a few ASCII characters are allowed."""
        plain = self._spelling == "plain"
        edges, has_escapes = {}, self._spelling == "json"
        for low, high, after in moves:
            move = goto(self.state(after))
            for code in range(low, high + 1):
                if plain or (code >= 0x20 and code != QUOTE and code != BACKSLASH):
                    edges[code] = move
                else:
                    has_escapes = True
        if not plain and chars.nullable:
            edges[QUOTE] = RETURN if self._ending is None else self._ending(chars)
        if has_escapes and (move := self._escape(moves)):
            edges[BACKSLASH] = move
        return edges

    def _leads(self, moves: Moves) -> list[tuple[int, int]]:
        """Moves of the lead bytes for code points from 0x80 on."""
        known = self._lead_moves.get(moves)
        if known is None:
            known = self._lead_moves[moves] = []
            before, move = None, 0
            for lead, bits, inside in _lead_blocks(tuple((low, high) for low, high, _ in moves)):
                if (bits, inside) != before:
                    following: Moves = tuple((low, high, moves[index][2]) for low, high, index in inside)
                    before, move = (bits, inside), goto(self._continuation(following, bits))
                known.append((lead, move))
        return known

    def _continuation(self, moves: Moves, bits: int) -> int:
        """The state before the last `bits` bits of a code point, six to a byte."""
        following = (after for _, _, after in moves)
        return self._inside("utf8", bits, moves, following, lambda state: self._expand_utf8(state, moves, bits - 6))

    def _expand_utf8(self, state: int, moves: Moves, bits: int) -> None:
        row = np.zeros(256, np.int32)
        for low, high, after in moves:
            first, last = -(-low >> bits), (high + 1 >> bits) - 1  # blocks the move covers whole
            if first <= last:
                target = self._continuation(((0, (1 << bits) - 1, after),), bits) if bits else self.state(after)
                row[0x80 | first : (0x80 | last) + 1] = goto(target)
        for block in {edge >> bits for low, high, _ in moves for edge in (low, high)} if bits else ():
            base = block << bits
            inside = shifted(cut(moves, base, base + (1 << bits) - 1), base)
            row[0x80 | block] = goto(self._continuation(inside, bits))
        self._machine.set_row(state, row)

    def _escape(self, moves: Moves) -> int:
        """The move of the backslash."""
        letters = {letter: find(moves, code) for code, letter in SHORT.items()}
        if self._spelling == "json":
            letters[SLASH] = find(moves, SLASH)
        alive = {letter: after for letter, after in letters.items() if after is not None}
        units = utf16(moves) if self._spelling == "json" else controls(moves)
        if not alive and not units:
            return 0
        following = [*alive.values(), *_following(units)]
        # The letters tell apart what the units alone do not.
        key: Units = (*((letter, letter, after) for letter, after in alive.items()), *units)
        return goto(self._inside("escape", 0, key, following, lambda state: self._expand_escape(state, alive, units)))

    def _expand_escape(self, state: int, letters: dict[int, CharState], units: Units) -> None:
        edges = {letter: goto(self.state(after)) for letter, after in letters.items()}
        if units:
            edges[LETTER_U] = goto(self._digits(units, 16))
        self._machine.set_edges(state, edges)

    def _digits(self, units: Units, bits: int) -> int:
        """The state before the last `bits` bits of a UTF-16 unit, four to a digit."""
        return self._inside(
            "hex", bits, units, _following(units), lambda state: self._expand_digits(state, units, bits - 4)
        )

    def _expand_digits(self, state: int, units: Units, bits: int) -> None:
        edges = {}
        for digit in HEX if self._spelling == "json" else HEX[:16]:
            base = int(chr(digit), 16) << bits
            inside = shifted(cut(units, base, base + (1 << bits) - 1), base)
            if not inside:
                continue
            after = inside[0][2]
            if bits:
                target = self._digits(inside, bits)
            else:
                target = self._low(after.moves) if isinstance(after, LowSurrogate) else self.state(after)
            edges[digit] = goto(target)
        self._machine.set_edges(state, edges)

    def _low(self, moves: Moves) -> int:
        """The state before the low surrogate of a pair."""
        units: Units = shifted(moves, -0xDC00)
        following = tuple(after for _, _, after in moves)

        def expand_letter(state: int) -> None:
            self._machine.set_edges(state, {LETTER_U: goto(self._digits(units, 16))})

        def expand(state: int) -> None:
            letter = self._inside("letter", 0, moves, following, expand_letter)
            self._machine.set_edges(state, {BACKSLASH: goto(letter)})

        return self._inside("low", 0, moves, following, expand)


def _most(count: int | None) -> int:
    return -1 if count is None or count >= ENDLESS else count


@lru_cache(maxsize=256)
def _lead_blocks(
    ranges: tuple[tuple[int, int], ...],
) -> tuple[tuple[int, int, tuple[tuple[int, int, int], ...]], ...]:
    """Lead bytes for ranges of code points: the byte, the bits behind it, what is read there, each with its range."""
    numbered = tuple((low, high, index) for index, (low, high) in enumerate(ranges))
    found = []
    for first, last, bits, mark in UTF8_LEADS:
        within = cut(numbered, first, last)
        for block in range(first >> bits, (last >> bits) + 1) if within else ():
            base = block << bits
            inside = shifted(cut(within, base, base + (1 << bits) - 1), base)
            if inside:
                found.append((mark | block, bits, inside))
    return tuple(found)


def _following(units: Units) -> list[CharState]:
    """The character states behind units."""
    found: list[CharState] = []
    for _, _, after in units:
        found += [to for _, _, to in after.moves] if isinstance(after, LowSurrogate) else [after]
    return found
