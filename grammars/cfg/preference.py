"""What Python's `re` would match at a place, as a language whose longest match is that very match.

`re` tries alternatives in order and takes the first that succeeds, which need not be the longest: `a|ab` never takes
`ab`, and `".*?"` ends at the first quote. A state here is the list of the ways to go on, best first, cut behind the
first that is complete, as in the simulation of backtracking by Pike and Cox (https://swtch.com/~rsc/regexp/). A text
is in the language when the list has a complete way in it; reading on replaces the match by a better one only. So the
longest prefix of a text in this language is what `re.match` takes of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from grammars.errors import GrammarLimit, UnsupportedConstraint

__all__ = ["Again", "Behind", "Branches", "Item", "Loop", "OneOf", "Preferred", "Ranges", "Unless", "Way"]

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Ascending, disjoint, inclusive ranges of code points."""
MAX_CODE = 0x10FFFF
MAX_WAYS = 5_000
"""Ways to go on that one state may have, and steps to find them."""


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """One character out of some ranges. Two are equal only if they are the same, for there may be many ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Branches:
    """Alternatives, best first."""

    options: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """`low` to `high` times the body; as few as possible when `lazy`."""

    body: Way
    low: int
    high: int | None
    lazy: bool


@dataclass(frozen=True, slots=True)
class Again:
    """The rest of a loop behind one round of it; a round that read nothing ends the loop."""

    loop: Loop


@dataclass(frozen=True, slots=True)
class Behind:
    """The character before this place is in a set, or is not, when `negated`. Sets are numbered by the regex."""

    number: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Unless:
    """None of some texts stands here with a word's end behind it. Words are of ASCII letters only when `ascii`."""

    texts: Way
    ascii: bool


Item: TypeAlias = OneOf | Branches | Loop | Again | Behind | Unless
Way: TypeAlias = tuple[Item, ...]


class Preferred:
    """A state: ways to go on, best first. What begins it is `Preferred.start`.

    Hashable and immutable; fulfils the protocol of a leaf of `grammars.regular.language`.
    """

    __slots__ = ("_behind", "_hash", "_known", "_moves", "_steps", "nullable", "ways")

    def __init__(self, ways: tuple[Way, ...], known: frozenset[int] | None, behind: tuple[Ranges, ...]) -> None:
        self.ways = ways
        self._known = known
        self._behind = behind
        self._hash = hash((ways, known))
        self._moves: tuple[tuple[int, int, Preferred], ...] | None = None
        self._steps, self.nullable = self._ordered_steps()

    @classmethod
    def start(cls, way: Way, behind: tuple[Ranges, ...]) -> Preferred:
        """The state of a regex before its first character; `behind` are the sets its `Behind` items number.

        Raises:
            UnsupportedConstraint: the regex looks at what stands before it.
            GrammarLimit: there are too many ways to begin it.
        """
        return cls((way,), None, behind)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Preferred)
            and self._hash == other._hash
            and self.ways == other.ways
            and self._known == other._known
            and self._behind == other._behind
        )

    def moves(self) -> tuple[tuple[int, int, Preferred], ...]:
        """Ascending, disjoint ranges of characters and the state behind each, where a match can still be reached."""
        if self._moves is None:
            lives: dict[Preferred, bool] = {}
            moves: list[tuple[int, int, Preferred]] = []
            for low, high, state in self._successors():
                if state not in lives:
                    lives[state] = state._lives()
                if not lives[state]:
                    continue
                if moves and moves[-1][1] == low - 1 and moves[-1][2] is state:
                    moves[-1] = (moves[-1][0], high, state)
                else:
                    moves.append((low, high, state))
            self._moves = tuple(moves)
        return self._moves

    def _successors(self) -> Iterator[tuple[int, int, Preferred]]:
        """The characters that can be read, and the states behind them, from which there may be no way to go on."""
        sets = [*(ranges for ranges, _ in self._steps), *self._behind]
        ordered = sorted({cut for ranges in sets for low, high in ranges for cut in (low, high + 1)})
        states: dict[tuple[int, ...], Preferred] = {}
        for low, after in pairwise(ordered):
            held = tuple(index for index, ranges in enumerate(sets) if _holds(ranges, low))
            if not held or held[0] >= len(self._steps):
                continue
            if held not in states:
                ways = dict.fromkeys(self._steps[index][1] for index in held if index < len(self._steps))
                known = frozenset(index - len(self._steps) for index in held if index >= len(self._steps))
                states[held] = Preferred(tuple(ways), known, self._behind)
            yield low, after - 1, states[held]

    def _lives(self) -> bool:
        """Whether a match can be reached: always, unless places that look back can prevent it."""
        agenda, seen = [self], {self}
        while agenda:
            state = agenda.pop()
            if state.nullable or not self._behind:
                return True
            if len(seen) > MAX_WAYS:
                raise GrammarLimit(f"regex: more than {MAX_WAYS} states looked at behind a lookbehind")
            following = {after for _, _, after in state._successors()} - seen
            seen |= following
            agenda.extend(following)
        return False

    def _ordered_steps(self) -> tuple[tuple[tuple[Ranges, Way], ...], bool]:
        """What may be read next and the way behind it, best first; and whether the text is complete behind these."""
        agenda = list(reversed(self.ways))
        seen: set[Way] = set()
        steps: list[tuple[Ranges, Way]] = []
        while agenda:
            way = agenda.pop()
            if way in seen:
                continue
            seen.add(way)
            if len(seen) > MAX_WAYS:
                raise GrammarLimit(f"regex: more than {MAX_WAYS} ways to go on")
            if not way:
                return tuple(steps), True
            head, rest = way[0], way[1:]
            if isinstance(head, OneOf):
                steps.append((head.ranges, tuple(_resumed(item) for item in rest)))
            else:
                agenda.extend(reversed(self._entered(head, rest)))
        return tuple(steps), False

    def _entered(self, head: Item, rest: Way) -> list[Way]:
        """The ways an item stands for, best first, without reading anything."""
        if isinstance(head, Branches):
            return [(*option, *rest) for option in head.options]
        if isinstance(head, Behind):
            if self._known is None:
                raise UnsupportedConstraint("lookbehind", "start", "it would look at what stands before the terminal")
            return [rest] if (head.number in self._known) != head.negated else []
        if isinstance(head, Again):
            return [rest]
        if not isinstance(head, Loop):
            raise UnsupportedConstraint(
                "negative lookahead", "terminal", "only keywords are excluded, in front of words"
            )
        if head.high == 0:
            return [rest]
        fewer = Loop(head.body, max(head.low - 1, 0), None if head.high is None else head.high - 1, head.lazy)
        if head.low:
            return [(*head.body, fewer, *rest)]
        once = (*head.body, Again(fewer), *rest)
        return [rest, once] if head.lazy else [once, rest]


def _resumed(item: Item) -> Item:
    return item.loop if isinstance(item, Again) else item


def _holds(ranges: Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, MAX_CODE)) - 1
    return index >= 0 and code <= ranges[index][1]
