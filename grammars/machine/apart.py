"""Strings that are none of some texts: the states of a lexeme, with another way where one of the texts is spelled.

Where a string can still become one of the texts, its state has edges of its own for the bytes that lead on to it, and
is the lexeme's state for all others: so the lexeme's masks serve, put right where those edges say otherwise. One more
text costs as many states as it has characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from grammars.machine.layout import GOTO
from grammars.machine.machine import Machine
from grammars.machine.moves import goto
from grammars.machine.spelling import SHORT

__all__ = ["ApartStates", "TextTrie"]

QUOTE, BACKSLASH, SLASH, LETTER_U = 0x22, 0x5C, 0x2F, 0x75
SURROGATES = range(0xD800, 0xE000)


class TextTrie:
    """Texts by their characters. It never changes: one with another text shares what the two have in common."""

    __slots__ = ("after", "ends")

    def __init__(self, ends: bool = False, after: dict[str, TextTrie] | None = None) -> None:
        self.ends = ends
        self.after = after or {}

    def with_text(self, text: str) -> TextTrie:
        """The same with one more text."""
        path = [self]
        for char in text:
            path.append(path[-1].after.get(char) or TextTrie())
        made = TextTrie(True, path[-1].after)
        for char, node in zip(reversed(text), reversed(path[:-1]), strict=True):
            made = TextTrie(node.ends, {**node.after, char: made})
        return made


Spelled: TypeAlias = "dict[int, Spelled | TextTrie]"
"""Ways to spell characters, byte by byte, and what follows each character."""


class ApartStates:
    """Makes the states of strings apart from texts.

    The lexeme must be one whose texts have no end anywhere: wherever one text is left out, another must be possible.

    Args:
        machine: where they are made.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._states: dict[tuple[int, TextTrie], int] = {}

    def state(self, base: int, texts: TextTrie) -> int:
        """The state at a boundary between characters where `base` is the lexeme's, and the rest is none of `texts`."""
        wanted = [(base, texts)] if (base, texts) not in self._states else []
        for at, rest in wanted:
            wanted += [key for key in self._following(at, _plainly(rest)) if key not in self._states]
        for at, rest in reversed(wanted):
            self._states[at, rest] = self._make(at, rest)
        return self._states[base, texts]

    def _following(self, base: int, spelled: Spelled) -> Iterator[tuple[int, TextTrie]]:
        """The lexeme's states behind spelled characters, with the texts from there on."""
        for byte, after in spelled.items():
            target = self._target(base, byte)
            if target and isinstance(after, TextTrie):
                yield target, after
            elif target and not isinstance(after, TextTrie):
                yield from self._following(target, after)

    def _make(self, base: int, texts: TextTrie) -> int:
        moves = self._plain_moves(base, _plainly(texts))
        if texts.ends:
            moves[QUOTE] = 0
        escape = self._target(base, BACKSLASH) if texts.after else 0
        if escape:
            # Few texts have escapes where they need none: the states in these are made when they are come to. That
            # takes a move that masks do not look through.
            moves[BACKSLASH] = self._machine.push(self._escape(escape, texts), ())
        return self._beside(base, moves)

    def _plain_moves(self, base: int, spelled: Spelled) -> dict[int, int]:
        moves = {}
        for byte, after in spelled.items():
            target = self._target(base, byte)
            if not target:
                continue
            if isinstance(after, TextTrie):
                state = self._states[target, after]
            else:
                state = self._beside(target, self._plain_moves(target, after))
            if state != target:
                moves[byte] = goto(state)
        return moves

    def _beside(self, base: int, moves: dict[int, int]) -> int:
        """A state with moves of its own that is `base` otherwise."""
        if not moves:
            return base
        self._machine.ensure(base)
        state = self._machine.state()
        self._machine.set_edges(state, moves, base)
        return state

    def _escape(self, base: int, texts: TextTrie) -> int:
        """The state behind a backslash."""
        return self._machine.state(0, lambda state: self._expand(state, base, _escaped(texts)))

    def _expand(self, state: int, base: int, spelled: Spelled) -> None:
        self._machine.ensure(base)
        moves = {}
        for byte, after in spelled.items():
            target = self._target(base, byte)
            if not target:
                continue
            if isinstance(after, TextTrie):
                moves[byte] = goto(self.state(target, after))
            else:
                moves[byte] = self._machine.push(self._within(target, after), ())
        self._machine.set_edges(state, moves, base)

    def _within(self, base: int, spelled: Spelled) -> int:
        """The state inside an escape."""
        return self._machine.state(0, lambda state: self._expand(state, base, spelled))

    def _target(self, base: int, byte: int) -> int:
        """The lexeme's state behind a byte that does not end it, 0 where there is none."""
        move = self._machine.move(base, byte)
        return move >> 3 if move & 7 == GOTO else 0


def _plainly(texts: TextTrie) -> Spelled:
    """The characters that may follow, as they are."""
    spelled: Spelled = {}
    for char, after in texts.after.items():
        code = ord(char)
        if code >= 0x20 and code not in (QUOTE, BACKSLASH) and code not in SURROGATES:
            _put(spelled, [(byte,) for byte in char.encode()], after)
    return spelled


def _escaped(texts: TextTrie) -> Spelled:
    """The characters that may follow, as JSON's escapes, without the backslash at the beginning."""
    spelled: Spelled = {}
    for char, after in texts.after.items():
        code = ord(char)
        letter = SLASH if code == SLASH else SHORT.get(code)
        if letter is not None:
            spelled[letter] = after
        if code not in SURROGATES:
            _put(spelled, _units(char)[1:], after)
    return spelled


def _units(char: str) -> list[tuple[int, ...]]:
    """The bytes, some of them one of two, of a character's escapes by its UTF-16 units."""
    digits = char.encode("utf-16-be").hex()
    written: list[tuple[int, ...]] = []
    for at in range(0, len(digits), 4):
        written += [(BACKSLASH,), (LETTER_U,)]
        written += [tuple({ord(digit), ord(digit.upper())}) for digit in digits[at : at + 4]]
    return written


def _put(spelled: Spelled, written: list[tuple[int, ...]], after: TextTrie) -> None:
    for alike in written[:-1]:
        inner = spelled.get(alike[0])
        if not isinstance(inner, dict):
            inner = {}
            spelled.update(dict.fromkeys(alike, inner))
        spelled = inner
    spelled.update(dict.fromkeys(written[-1], after))
