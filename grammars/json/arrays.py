"""Arrays while they are read: what the next item must be."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from grammars.errors import GrammarLimit
from grammars.json.array_search import ArraySearch
from grammars.json.conjunctions import Atom, Conjunction
from grammars.json.node import FALSE, TRUE, CountItems, CountMatching, Distinct, EveryItem, Node, SomeItem
from grammars.json.residual import Child, Clauses, Decide, Step, decide, holds_at_end, settle, undominated
from grammars.json.rivals import ArrayRivals
from grammars.json.scalars import STRING
from grammars.json.unlike import Frozen, FrozenArray, freeze
from grammars.regular.search import is_endless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grammars.json.shapes import Shapes
    from grammars.regular.language import Language

__all__ = ["ArrayResidual", "ArrayShape", "ArrayState", "Counter", "Guess"]

_LOG = logging.getLogger(__name__)

_MOST_UNROLLED = 16
"""Least lengths of strings up to which they are spelled out state by state."""
_MOST_STATES = 64
"""So many states of strings are looked at to see that all go on."""

Counter: TypeAlias = tuple[int, int | None]
"""How many more items must, and how many more may, be of some kind."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An item, not read yet, that a later one shall be equal to; `node` is what it satisfies."""

    node: Node


class ArrayResidual(NamedTuple):
    """What distinguishes the states of one shape.

    Args:
        num_read: items read so far; no more than the number after which nothing changes.
        clauses: what must still be fulfilled.
        counters: for each of the shape's counted kinds of items.
        rivals: arrays that the value must differ from and is equal to so far.
        taken: items that must not come again.
        twin: None when no two items have to be equal (any more), () when no item has been chosen, else the one chosen.
    """

    num_read: int
    clauses: Clauses
    counters: tuple[Counter, ...]
    rivals: frozenset[FrozenArray]
    taken: frozenset[Frozen]
    twin: tuple[Frozen | Guess, ...] | None


class ArrayShape:
    """One conjunction of constraints on an array: what all its states have in common.

    Args:
        shapes: the arena.
        conjunction: the constraints.

    Raises:
        GrammarLimit: more distinct items are required than are kept apart.
    """

    def __init__(self, shapes: Shapes, conjunction: Conjunction) -> None:
        self.shapes = shapes
        self._most_distinct = shapes.limits.distinct_items
        self.low: int = 0
        self.high: int | None = None
        self.distinct = False
        self.counted: list[CountMatching] = []
        self._every: list[EveryItem] = []
        self._nodes: dict[int, Node] = {}
        self._children: dict[int, Child] = {}
        self._states: dict[ArrayResidual, ArrayState] = {}
        self._twin: tuple[Frozen | Guess, ...] | None = None
        clauses = [frozenset(clause) for clause in conjunction.clauses]
        for atom in conjunction.atoms:
            if isinstance(atom, SomeItem):
                clauses.append(frozenset((atom,)))
            else:
                self._take_atom(atom)
        self._literals = [literal for clause in clauses for literal in clause]
        self._rivals = ArrayRivals(shapes.values, conjunction.rivals)
        self._bound_length()
        self.cuts = self._find_cuts()
        self.texts = self._find_texts(clauses)
        """The items, where they are distinct strings of which any number is left whichever came before; else None."""
        self.is_cut = self.distinct and self.texts is None and (self.high is None or self.high > self._most_distinct)
        """Whether it ends before the schema has it end, for want of room to keep items apart."""
        if self.is_cut:
            self._cap(self._most_distinct)
        self._horizon = max(self.cuts[-1], self._find_horizon(clauses))
        counters = tuple((one.low, one.high) for one in self.counted)
        self.is_plain = not (clauses or counters or self._rivals.all or self.distinct or self._twin is not None)
        self.is_free = self.is_plain and not self._every and self.low == 0 and self.high is None
        """Whether it allows every array."""
        self.start = self.settled(
            ArrayResidual(0, frozenset(clauses), counters, self._rivals.all, frozenset(), self._twin)
        )

    def _take_atom(self, atom: Atom) -> None:
        if isinstance(atom, CountItems):
            self.low = max(self.low, atom.low)
            if atom.high is not None:
                self._cap(atom.high)
        elif isinstance(atom, EveryItem):
            if atom.node is not TRUE:
                self._every.append(atom)
        elif isinstance(atom, CountMatching):
            self.counted.append(atom)
        elif isinstance(atom, Distinct):
            if atom.negated:
                self._twin = ()
            else:
                self.distinct = True

    def _cap(self, high: int) -> None:
        self.high = high if self.high is None else min(self.high, high)

    def _bound_length(self) -> None:
        for atom in self._every:
            if atom.node is FALSE:
                self._cap(atom.first)
        if self.distinct and self.low > self._most_distinct:
            raise GrammarLimit(
                f"uniqueItems: {self.low} items are required, at most {self._most_distinct} are kept apart"
            )

    def _find_texts(self, clauses: Sequence[object]) -> Language | None:
        if not self.distinct or self.cuts != [0] or self._twin is not None:
            return None
        if clauses or self.counted or self._rivals.all:
            return None
        scalars, item = self.shapes.scalars, self.item(0)
        form = scalars.string(item) if scalars.kinds(item) == STRING else None
        if form is None or form.high is not None or form.low > _MOST_UNROLLED:
            return None
        language = scalars.bounded_string(item)
        return language if language is not None and is_endless(language, _MOST_STATES) else None

    def _find_cuts(self) -> list[int]:
        """The indexes at which what an item must satisfy changes, ascending, from 0."""
        cuts = {0}
        for atom in self._every:
            cuts.add(atom.first)
            if atom.last is not None:
                cuts.add(atom.last + 1)
        return sorted(cuts)

    def _find_horizon(self, clauses: Iterable[Iterable[Atom]]) -> int:
        """An index from which on all indexes are alike."""
        bounds = [self.low, self._rivals.longest + 1, 0 if self.high is None else self.high + 1]
        for clause in clauses:
            for literal in clause:
                if isinstance(literal, CountItems):
                    bounds += (literal.low, 0 if literal.high is None else literal.high + 1)
                elif isinstance(literal, EveryItem | SomeItem):
                    bounds += (literal.first, 0 if literal.last is None else literal.last + 1)
        return max(bounds)

    def item(self, index: int) -> Node:
        """What the item at an index satisfies in any case."""
        found = self._nodes.get(index)
        if found is None:
            covering = (atom.node for atom in self._every if _in_range(atom, index))
            found = self._nodes[index] = self.shapes.merge.all_of(covering)
        return found

    def begin(self) -> ArrayState | None:
        """The state right after the opening bracket; None when no array can be."""
        return self.state(self.start) if self.start is not None and self.can_complete(self.start) else None

    def state(self, residual: ArrayResidual) -> ArrayState:
        """The one state with that residual."""
        found = self._states.get(residual)
        if found is None:
            found = self._states[residual] = ArrayState(self, residual)
        return found

    def advance(self, residual: ArrayResidual, decide: Decide) -> Iterator[tuple[ArrayResidual, tuple[Node, ...]]]:
        """The ways to read an item: what is left after it, and what it satisfies besides `item(index)`.

        Whether the item can be and the rest can be completed is not looked at; nor is that items be distinct.

        Args:
            residual: what is left before it.
            decide: which ways to take it there are, as clauses say.
        """
        index = residual.num_read
        if self.high is not None and index >= self.high:
            return
        item = self.item(index)
        base = frozenset((TRUE, item, *(atom.node for atom in self._every if _in_range(atom, index))))
        after = min(index + 1, self._horizon)
        limit = self.shapes.limits.alternatives
        steps = [Step(residual.clauses, ())]
        if residual.clauses:
            steps = list(decide(residual.clauses, self._child(index, item, base), limit))
        counts = list(self._count(residual.counters, base))
        rivals = list(self._rivals.advance(residual.rivals, index))
        if len(steps) * len(counts) * len(rivals) > limit:
            raise GrammarLimit(f"json_schema: more than {limit} ways to go on after one item")
        for step, (counters, counted), (equal, unlike) in product(steps, counts, rivals):
            extra = (*step.extra, *counted, *unlike)
            taken = residual.taken
            if self.distinct:
                taken = taken.union(rival.items[index] for rival in equal)
            for twin, chosen in self._pair(residual.twin, index, extra):
                left = self.settled(ArrayResidual(after, step.clauses, counters, equal, taken, twin))
                if left is not None:
                    yield left, (*extra, *chosen)

    def _child(self, index: int, item: Node, base: frozenset[Node]) -> Child:
        found = self._children.get(index)
        if found is None:
            covers = partial(_covers, index)
            asked = (literal.node for literal in self._literals if covers(literal))  # type: ignore[union-attr]
            found = self._children[index] = Child(item, base, covers, asked, self.shapes.cells)
        return found

    def _count(
        self, counters: tuple[Counter, ...], base: frozenset[Node]
    ) -> Iterator[tuple[tuple[Counter, ...], tuple[Node, ...]]]:
        ways = [_count_one(one, counter, base) for one, counter in zip(self.counted, counters, strict=True)]
        for way in product(*ways):
            yield tuple(counter for counter, _ in way), tuple(node for _, node in way if node not in base)

    def _pair(
        self, twin: tuple[Frozen | Guess, ...] | None, index: int, extra: tuple[Node, ...]
    ) -> Iterator[tuple[tuple[Frozen | Guess, ...] | None, tuple[Node, ...]]]:
        """The ways an item may be one of two equal ones."""
        if twin:
            chosen = twin[0]
            yield None, (chosen.node if isinstance(chosen, Guess) else self.shapes.values.equal(chosen),)
        yield twin, ()
        if twin == ():
            later = [cut for cut in self.cuts if cut > index + 1]
            nodes = [self.item(at) for at in (index + 1, *later) if self.high is None or at < self.high]
            again = self.shapes.merge.any_of(nodes)
            yield (Guess(self.shapes.merge.all_of((self.item(index), *extra, again))),), (again,)

    def settled(self, residual: ArrayResidual) -> ArrayResidual | None:
        """The residual with decided literals dropped; None when a clause can no longer hold."""
        if not residual.clauses:
            return residual
        clauses = settle(residual.clauses, lambda literal: self._status(literal, residual.num_read))
        return None if clauses is None else residual._replace(clauses=clauses)

    def _status(self, literal: Atom, index: int) -> bool | None:
        """Whether a literal holds whatever items come from an index on; None when that is open."""
        if isinstance(literal, CountItems):
            if literal.high is not None and index > literal.high:
                return False
            if self.high is not None and literal.low > self.high:
                return False
            return True if literal.high is None and index >= literal.low else None
        if isinstance(literal, EveryItem | SomeItem):
            passed = literal.last is not None and literal.last < index
            if passed or (self.high is not None and max(literal.first, index) >= self.high):
                return isinstance(literal, EveryItem)
        return None

    def closes(self, residual: ArrayResidual) -> bool:
        """Whether the array may end here."""
        index = residual.num_read
        if index < self.low or residual.twin is not None or any(low for low, _ in residual.counters):
            return False
        if not all(holds_at_end(clause, index) for clause in residual.clauses):
            return False
        return not self._rivals.is_equal(residual.rivals, index)

    def can_complete(self, residual: ArrayResidual) -> bool:
        """Whether some array ends well from here."""
        if self.closes(residual):
            return True
        return self.shapes.emptiness.answer(ArraySearch(self).completes(residual))


class ArrayState:
    """A place in an array where an item or the closing bracket is next. The same residual is the same object.

    `captures` is true of some states that `next` gives: when the item is complete, `with_item` says how to go on.
    """

    __slots__ = ("_next", "can_close", "captures", "residual", "shape")

    def __init__(self, shape: ArrayShape, residual: ArrayResidual, captures: bool = False) -> None:
        self.shape = shape
        self.residual = residual
        self.captures = captures
        self.can_close = shape.closes(residual)
        self._next: tuple[tuple[ArrayState, Node], ...] | None = None

    def can_continue(self) -> bool:
        """Whether one more item may come."""
        return bool(self.next())

    def next(self) -> tuple[tuple[ArrayState, Node], ...]:
        """The alternatives for one more item: the state after it, and what it must satisfy. Each can be completed.

        Raises:
            GrammarLimit: finding that out took too much.
        """
        if self._next is None:
            self._next = self._find_next()
        return self._next

    def _find_next(self) -> tuple[tuple[ArrayState, Node], ...]:
        shape, shapes = self.shape, self.shape.shapes
        found: dict[tuple[ArrayState, Node], None] = {}
        if shape.is_cut and self.residual.num_read == shape.high:
            _LOG.warning("uniqueItems: an array ends at %d items, more are not kept apart", shape.high)
        item = shape.item(self.residual.num_read)
        if shape.distinct:
            item = shapes.merge.all_of((item, shapes.values.unlike(ArraySearch(shape).spoiling(self.residual))))
        for left, extra in shape.advance(self.residual, decide):
            node = shapes.merge.all_of((item, *extra))
            if not shapes.can_be(node) or not (shape.is_plain or shape.can_complete(left)):
                continue
            guessed = bool(left.twin) and left.twin is not self.residual.twin
            captures = shape.distinct or guessed
            found[ArrayState(shape, left, captures=True) if captures else shape.state(left), node] = None
        return undominated(found)

    def with_item(self, value: object) -> tuple[ArrayState, ...]:
        """The states to go on from after that item (as `json.loads` gives it); for a state that captures.

        Raises:
            TypeError: the item is no JSON value.
        """
        left = self.residual
        frozen = freeze(value)
        if self.shape.distinct:
            left = left._replace(taken=left.taken | {frozen})
        if left.twin and isinstance(left.twin[0], Guess):
            left = left._replace(twin=(frozen,))
        return (self.shape.state(left),) if self.shape.can_complete(left) else ()


def _count_one(one: CountMatching, counter: Counter, base: frozenset[Node]) -> list[tuple[Counter, Node]]:
    """The ways one item may count: what is left to count after it, and what that asks of it."""
    low, high = counter
    if low == 0 and high is None:
        return [(counter, TRUE)]
    counted: Counter = (max(low - 1, 0), None if high is None else high - 1)
    ways: list[tuple[Counter, Node]] = []
    if high != 0 and one.opposite not in base:
        ways.append((counted, one.node))
    if one.node not in base:
        ways.append((counter, TRUE if high is None else one.opposite))
    return ways


def _in_range(atom: EveryItem | SomeItem, index: int) -> bool:
    return atom.first <= index and (atom.last is None or index <= atom.last)


def _covers(index: int, literal: Atom) -> bool:
    return isinstance(literal, EveryItem | SomeItem) and _in_range(literal, index)
