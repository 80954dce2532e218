"""Automaton: a regular expression that is looked for in a text from all places at once, a character at a time.

Thompson's construction (doi:10.1145/363347.363387): the states are as many as the expression has parts, and reading a
character costs at most one visit to each, whatever the text. A thread is a state together with the place where its
match began; of threads in one state only the oldest counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.regular.charset import CharSet
from grammars.regular.syntax import (
    EMPTY,
    Alternation,
    Characters,
    Concatenation,
    Look,
    Node,
    Place,
    Position,
    Repetition,
)

__all__ = ["MAX_AUTOMATON_STATES", "Automaton", "Moved"]

MAX_AUTOMATON_STATES = 256
MOST_KEPT = 50_000
"""States in all the answers that are remembered; when there are more, all are forgotten."""

ACCEPT = 0

Check: TypeAlias = Position | Look


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of some threads when a character was read.

    Attributes:
        threads: the states of those that are alive, oldest match first.
        sources: which thread each of them was; the one after the last began before the character.
        ended: the oldest thread that is a match now, as in `sources`; two after the last is the empty match behind
            the character.
    """

    threads: tuple[int, ...]
    sources: tuple[int, ...]
    ended: int | None


class Automaton:
    """Reads texts. Holds no text's progress, so that any number of readers may share it.

    Args:
        node: the expression.
        pattern: how it is shown in messages.

    Raises:
        UnsupportedConstraint: it looks around at more than one character.
        GrammarLimit: it has more than `MAX_AUTOMATON_STATES` states, repetitions written out.
    """

    def __init__(self, node: Node, pattern: str) -> None:
        self._pattern = pattern
        self._chars: list[CharSet | None] = []
        self._checks: list[Check | None] = []
        self._afters: list[tuple[int, ...]] = []
        self._state()  # ACCEPT
        self._start = self._build(node, ACCEPT)
        self._looks = any(check is not None for check in self._checks)
        self._has_last_line = Position(Place.LAST_LINE_END) in self._checks
        self._known: dict[tuple[tuple[int, ...], str | None, str], Moved] = {}
        self._num_kept = 0

    @property
    def accepts_empty(self) -> bool:
        """Whether the empty text is a match."""
        return ACCEPT in self._reached([(self._start, 0)], None, None, last_line=False)

    def advance(self, threads: tuple[int, ...], before: str | None, char: str) -> Moved:
        """Reads a character.

        Args:
            threads: `Moved.threads` so far; empty at the start of the text.
            before: the character before; None at the start of the text.
            char: the character.

        Returns:
            The threads after it, that which began in front of it included. A match counts as if the text ended there.
        """
        key = (threads, before if self._looks else None, char)
        moved = self._known.get(key)
        if moved is None:
            moved = self._moved(threads, before, char)
            self._num_kept += len(threads) + len(moved.threads) + 1
            if self._num_kept > MOST_KEPT:
                self._known.clear()
                self._num_kept = 0
            self._known[key] = moved
        return moved

    def _moved(self, threads: tuple[int, ...], before: str | None, char: str) -> Moved:
        begun = [*zip(threads, range(len(threads)), strict=True), (self._start, len(threads))]
        behind = (self._start, len(threads) + 1)
        reached = self._reached(begun, before, char, last_line=False)
        kept = self._read(reached, char)
        ended = [reached.get(ACCEPT), self._reached([*kept.items(), behind], char, None, last_line=False).get(ACCEPT)]
        if char == "\n" and self._has_last_line:
            # `$` holds in front of a newline that is the last character, which it is for this end of the text only.
            reached = self._reached(begun, before, char, last_line=True)
            last = self._read(reached, char)
            ended += [reached.get(ACCEPT), self._reached(last.items(), char, None, last_line=False).get(ACCEPT)]
        oldest = min((source for source in ended if source is not None), default=None)
        return Moved(tuple(kept), tuple(kept.values()), oldest)

    def _read(self, reached: dict[int, int], char: str) -> dict[int, int]:
        """The states behind a character, each with its oldest thread."""
        kept: dict[int, int] = {}
        for state, source in reached.items():
            chars = self._chars[state]
            if chars is not None and char in chars:
                kept.setdefault(self._afters[state][0], source)
        return kept

    def _reached(
        self, begun: Iterable[tuple[int, int]], before: str | None, after: str | None, *, last_line: bool
    ) -> dict[int, int]:
        """The states that threads, oldest first, come to without reading; each with the oldest that does."""
        reached: dict[int, int] = {}
        for begin, source in begun:
            waiting = [begin]
            while waiting:
                state = waiting.pop()
                if state in reached:
                    continue
                reached[state] = source
                check = self._checks[state]
                if self._chars[state] is None and (check is None or _holds(check, before, after, last_line)):
                    waiting += self._afters[state]
        return reached

    def _state(self, chars: CharSet | None = None, check: Check | None = None, afters: tuple[int, ...] = ()) -> int:
        if len(self._afters) >= MAX_AUTOMATON_STATES:
            raise GrammarLimit(
                f"regex {self._pattern}: more than {MAX_AUTOMATON_STATES} states, repetitions written out"
            )
        self._chars.append(chars)
        self._checks.append(check)
        self._afters.append(afters)
        return len(self._afters) - 1

    def _build(self, node: Node, after: int) -> int:
        """The state from which the node is read, and then what follows from `after` on."""
        if isinstance(node, Characters):
            return self._state(chars=node.chars, afters=(after,))
        if isinstance(node, Concatenation):
            for item in reversed(node.items):
                after = self._build(item, after)
            return after
        if isinstance(node, Alternation):
            return self._state(afters=tuple(self._build(item, after) for item in node.items))
        if isinstance(node, Repetition):
            return self._build_repetition(node, after)
        if isinstance(node, Look) and node.item == EMPTY:
            return self._state() if node.negated else after
        if isinstance(node, Look) and not isinstance(node.item, Characters):
            raise UnsupportedConstraint("lookaround", self._pattern, "only at one character")
        return self._state(check=node, afters=(after,))

    def _build_repetition(self, node: Repetition, after: int) -> int:
        if node.high is None:
            here = self._state()
            self._afters[here] = (self._build(node.item, here), after)
        else:
            here = after
            for _ in range(node.high - node.low):
                item = self._build(node.item, here)
                if item == here:
                    break
                here = self._state(afters=(item, after))
        for _ in range(node.low):
            item = self._build(node.item, here)
            if item == here:
                break
            here = item
        return here


def _holds(check: Check, before: str | None, after: str | None, last_line: bool) -> bool:
    """Whether a check holds between two characters; None where the text begins or ends."""
    if isinstance(check, Look):
        beside = before if check.behind else after
        assert isinstance(check.item, Characters)
        return (beside is not None and beside in check.item.chars) != check.negated
    place = check.place
    if place in (Place.START, Place.LINE_START):
        return before is None or (place is Place.LINE_START and before == "\n")
    if place in (Place.WORD_EDGE, Place.NO_WORD_EDGE):
        edge = (before is not None and before in CharSet.WORD) != (after is not None and after in CharSet.WORD)
        return edge == (place is Place.WORD_EDGE)
    if after is None:
        return True
    return after == "\n" and (place is Place.LINE_END or (place is Place.LAST_LINE_END and last_line))
