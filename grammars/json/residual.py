"""What is left to be fulfilled by an object or array that is being read, as far as clauses say.

A clause is a set of literals of which one must hold in the end. Reading one more child (property or item) decides the
literals about it: a `Some` may be fulfilled by it, an `Every` may be held to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias, TypeVar

from grammars.errors import GrammarLimit
from grammars.json.conjunctions import Atom
from grammars.json.node import All, CountItems, CountProperties, Every, EveryItem, Node, Some, SomeItem
from grammars.json.value_cells import Cell, ValueCells

__all__ = [
    "Child",
    "Clause",
    "Clauses",
    "Decide",
    "Step",
    "decide",
    "explore",
    "holds_at_end",
    "settle",
    "undominated",
    "undominated_clauses",
]

Clause: TypeAlias = frozenset[Atom]
Clauses: TypeAlias = frozenset[Clause]

_State = TypeVar("_State")


class Step(NamedTuple):
    """One way to take a child: the clauses that are open after it, and what its value must satisfy besides."""

    clauses: Clauses
    extra: tuple[Node, ...]


class Child:
    """A property or item as clauses see it.

    Args:
        value: what its value satisfies anyway.
        base: the same as a set: `value` and all that is part of it.
        covers: whether a literal is about it.
        nodes: what literals about it may ask.
        cells: tells values apart.
    """

    def __init__(
        self,
        value: Node,
        base: frozenset[Node],
        covers: Callable[[Atom], bool],
        nodes: Iterable[Node],
        cells: ValueCells,
    ) -> None:
        self.base = base
        self._value = value
        self._covers = covers
        self._nodes = tuple(dict.fromkeys(nodes))
        self._cells = cells
        self._about: dict[Clause, _About | None] = {}
        self._parts: tuple[_Part, ...] | None = None

    def about(self, clauses: Clauses) -> list[_About]:
        """What clauses say of the child, short ones first; clauses that say nothing are left out."""
        found = []
        for clause in clauses:
            if clause not in self._about:
                literals = tuple(literal for literal in clause if self._covers(literal))
                self._about[clause] = _About.of(clause, literals) if literals else None
            one = self._about[clause]
            if one is not None:
                found.append(one)
        found.sort(key=_size)
        return found

    def parts(self) -> tuple[_Part, ...]:
        """Its values, told apart by what literals may ask of them."""
        if self._parts is None:
            cells = self._cells.cut(self._value, self._nodes)
            self._parts = tuple(
                _Part(cell, self.base | cell.true, self.base | cell.true | cell.false) for cell in cells
            )
        return self._parts

    def within(self, part: _Part) -> tuple[Node, ...]:
        """What is asked of a value that shall be in a part; nothing where the part surely has one."""
        return () if self._cells.surely_has(part.cell) else (self._cells.union((part.cell,)),)

    def union(self, parts: Iterable[_Part]) -> Node:
        """What the values in some parts satisfy."""
        return self._cells.union(part.cell for part in parts)


class _Part(NamedTuple):
    cell: Cell
    given: frozenset[Node]  # what its values satisfy
    decided: frozenset[Node]  # what they satisfy, and what none of them does


class _About(NamedTuple):
    """What one clause says of a child."""

    clause: Clause
    literals: tuple[Atom, ...]
    somes: frozenset[Node]  # nodes of the literals that the child alone can fulfil
    everies: tuple[Every | EveryItem, ...]
    nodes: frozenset[Node]

    @classmethod
    def of(cls, clause: Clause, literals: tuple[Atom, ...]) -> _About:
        everies = tuple(literal for literal in literals if isinstance(literal, Every | EveryItem))
        somes = frozenset(literal.node for literal in literals if isinstance(literal, Some | SomeItem))
        return cls(clause, literals, somes, everies, somes.union(literal.node for literal in everies))

    def rest(self, given: frozenset[Node]) -> Clause:
        """The clause without what a child that satisfies no more than is given breaks."""
        broken = [literal for literal in self.everies if literal.node not in given]
        return self.clause.difference(broken) if broken else self.clause


class _Choice(NamedTuple):
    clauses: tuple[Clause, ...]
    taken: tuple[Atom, ...]  # literals the child's value fulfils or holds to

    def asked(self, given: frozenset[Node]) -> tuple[Node, ...]:
        """What the choice asks of the child's value besides what is given."""
        nodes = dict.fromkeys(literal.node for literal in self.taken)  # type: ignore[union-attr]
        return tuple(node for node in nodes if node not in given)


Decide: TypeAlias = Callable[[Clauses, Child, int], Iterator[Step]]
"""`decide` or `explore`."""

_MANY = 3


def decide(clauses: Clauses, child: Child, limit: int) -> Iterator[Step]:
    """The ways to take one child.

    Where many clauses are about it, its values are told apart first, as far as that is easy: the ways exclude each
    other then; else there would be one for every set of literals.

    Args:
        clauses: what is open before it.
        child: what is known of it.
        limit: how many ways there may be.

    Raises:
        GrammarLimit: there are more.
    """
    about = child.about(clauses)
    if len(about) < _MANY:
        yield from explore(clauses, child, limit)
        return
    others = clauses.difference(one.clause for one in about)
    ways: dict[Step, list[_Part]] = {}
    for part in child.parts():
        for choice in _choose(about, part.given, part.decided, limit):
            step = Step(others.union(choice.clauses), choice.asked(part.given))
            ways.setdefault(step, []).append(part)
        if len(ways) > limit:
            raise GrammarLimit(f"json_schema: more than {limit} ways to go on after one property or item")
    for step, same in ways.items():
        yield step if len(same) == len(child.parts()) else Step(step.clauses, (child.union(same), *step.extra))


def explore(clauses: Clauses, child: Child, limit: int) -> Iterator[Step]:
    """The ways to take one child, one by one, for who only asks whether some way leads on.

    As `decide`, but a way may come several times, and nothing is asked of a value where there surely is one.
    """
    about = child.about(clauses)
    others = clauses.difference(one.clause for one in about)
    if len(about) < _MANY:
        for choice in _choose(about, child.base, child.base, limit):
            yield Step(others.union(choice.clauses), choice.asked(child.base))
        return
    for part in child.parts():
        for choice in _choose(about, part.given, part.decided, limit):
            asked = choice.asked(part.given)
            within = (child.union((part,)), *asked) if asked else child.within(part)
            yield Step(others.union(choice.clauses), within)


def _choose(about: Iterable[_About], given: frozenset[Node], decided: frozenset[Node], limit: int) -> list[_Choice]:
    """The ways to take a child whose value satisfies all of `given`, and nothing else that is in `decided`."""
    kept: list[Clause] = []
    undecided: list[_About] = []
    for one in about:
        if not one.somes.isdisjoint(given):
            continue
        if not one.nodes <= decided:
            undecided.append(one)
            continue
        rest = one.rest(given)
        if not rest:
            return []
        kept.append(rest)
    choices = [_Choice(tuple(kept), ())]
    for one in undecided:
        choices = [after for choice in choices for after in _take(choice, one, given, decided)]
        if len(choices) > limit:
            raise GrammarLimit(f"json_schema: more than {limit} ways to go on after one property or item")
    return choices


def _take(choice: _Choice, one: _About, given: frozenset[Node], decided: frozenset[Node]) -> Iterator[_Choice]:
    """The ways one clause may fare: fulfilled, held to by one literal alone, or left to those that are still open."""
    if any(literal in choice.taken for literal in one.literals if isinstance(literal, Some | SomeItem)):
        yield choice
        return
    for literal in one.literals:
        if literal.node in decided:  # type: ignore[union-attr]
            continue
        taken = (*choice.taken, literal)
        if isinstance(literal, Every | EveryItem):
            yield _Choice((*choice.clauses, frozenset((literal,))), taken)
        else:
            yield _Choice(choice.clauses, taken)
    rest = one.rest(given)
    if rest:
        yield _Choice((*choice.clauses, rest), choice.taken)


def _size(one: _About) -> int:
    return len(one.clause)


def settle(clauses: Iterable[Clause], status: Callable[[Atom], bool | None]) -> Clauses | None:
    """Open clauses without the literals that are decided; None when one of them can no longer hold.

    Args:
        clauses: what is open.
        status: whether a literal holds whatever comes (True), cannot hold any more (False), or is open (None).
    """
    kept: set[Clause] = set()
    for clause in clauses:
        decided = {literal: status(literal) for literal in clause}
        if True in decided.values():
            continue
        rest = frozenset(literal for literal, known in decided.items() if known is None)
        if not rest:
            return None
        kept.add(rest)
    return undominated_clauses(kept)


def undominated_clauses(clauses: Iterable[Clause]) -> Clauses:
    """Clauses without those that another one is part of, which hold with it."""
    kept = frozenset(clauses)
    if len(kept) < 2:
        return kept
    fewest = min(map(len, kept))
    longer = [clause for clause in kept if len(clause) > fewest]
    if not longer:
        return kept
    by_literal: dict[Atom, list[Clause]] = {}
    for clause in kept:
        by_literal.setdefault(next(iter(clause)), []).append(clause)  # who contains it contains any literal of it
    needless = {
        clause
        for clause in longer
        if any(other < clause for literal in clause for other in by_literal.get(literal, ()))
    }
    return kept - needless if needless else kept


def holds_at_end(clause: Clause, count: int) -> bool:
    """Whether a clause holds when nothing more comes after `count` children."""
    for literal in clause:
        if isinstance(literal, Every | EveryItem):
            return True
        if isinstance(literal, CountProperties | CountItems) and _is_within(count, literal):
            return True
    return False


def _is_within(count: int, bounds: CountProperties | CountItems) -> bool:
    return bounds.low <= count and (bounds.high is None or count <= bounds.high)


def undominated(found: Iterable[tuple[_State, Node]]) -> tuple[tuple[_State, Node], ...]:
    """Alternatives without those that another one with a weaker value and the same state makes needless."""
    ordered = tuple(found)
    if not 1 < len(ordered) <= 64:
        return ordered
    items = [frozenset(node.items) if isinstance(node, All) else frozenset((node,)) for _, node in ordered]
    return tuple(
        one
        for at, one in enumerate(ordered)
        if not any(other[0] is one[0] and items[place] < items[at] for place, other in enumerate(ordered))
    )
