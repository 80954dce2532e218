"""What is left to be fulfilled by an object or array that is being read, as far as clauses say.

A clause is a set of literals of which one must hold in the end. Reading one more child (property or item) decides the
literals about it: a `Some` may be fulfilled by it, an `Every` may be held to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

from grammars.errors import GrammarLimit
from grammars.json.conjunctions import Atom
from grammars.json.node import All, CountItems, CountProperties, Every, EveryItem, Node, Some, SomeItem
from grammars.json.value_cells import Cell, ValueCells

__all__ = ["Child", "Clause", "Clauses", "Step", "decide", "holds_at_end", "settle", "undominated"]

Clause: TypeAlias = frozenset[Atom]
Clauses: TypeAlias = frozenset[Clause]

_State = TypeVar("_State")


class Step(NamedTuple):
    """One way to take a child: the clauses that are open after it, and what its value must satisfy besides."""

    clauses: Clauses
    extra: tuple[Node, ...]


class Child(NamedTuple):
    """A property or item as clauses see it.

    Args:
        value: what its value satisfies anyway.
        base: the same as a set: `value` and all that is part of it.
        covers: whether a literal is about it.
        nodes: what literals about it may ask.
    """

    value: Node
    base: frozenset[Node]
    covers: Callable[[Atom], bool]
    nodes: tuple[Node, ...]


class _Choice(NamedTuple):
    clauses: tuple[Clause, ...]
    taken: tuple[Atom, ...]  # literals the child's value fulfils or holds to

    def asked(self, given: frozenset[Node]) -> tuple[Node, ...]:
        """What the choice asks of the child's value besides what is given."""
        nodes = dict.fromkeys(literal.node for literal in self.taken)  # type: ignore[union-attr]
        return tuple(node for node in nodes if node not in given)


_MANY = 3


def decide(clauses: Clauses, child: Child, cells: ValueCells, limit: int) -> Iterator[Step]:
    """The ways to take one child.

    Where many clauses are about it, its values are told apart first, as far as that is easy: the ways exclude each
    other then; else there would be one for every set of literals.

    Args:
        clauses: what is open before it.
        child: what is known of it.
        cells: tells values apart.
        limit: how many ways there may be.

    Raises:
        GrammarLimit: there are more.
    """
    about = {clause: [literal for literal in clause if child.covers(literal)] for clause in clauses}
    if sum(map(bool, about.values())) < _MANY:
        for choice in _choose(about, child.base, frozenset(), limit):
            yield Step(frozenset(choice.clauses), choice.asked(child.base))
        return
    parts = cells.cut(child.value, child.nodes)
    ways: dict[Step, list[Cell]] = {}
    for cell in parts:
        given = child.base | cell.true
        for choice in _choose(about, given, cell.false, limit):
            ways.setdefault(Step(frozenset(choice.clauses), choice.asked(given)), []).append(cell)
        if len(ways) > limit:
            raise GrammarLimit(f"json_schema: more than {limit} ways to go on after one property or item")
    for step, same in ways.items():
        yield step if len(same) == len(parts) else Step(step.clauses, (cells.union(same), *step.extra))


def _choose(
    about: Mapping[Clause, list[Atom]], given: frozenset[Node], refused: frozenset[Node], limit: int
) -> list[_Choice]:
    """The ways to take a child whose value satisfies all of `given` and none of `refused`."""
    choices = [_Choice((), ())]
    for clause, literals in sorted(about.items(), key=lambda item: len(item[0])):
        if literals:
            choices = [after for choice in choices for after in _take(choice, clause, literals, given, refused)]
        else:
            choices = [_Choice((*choice.clauses, clause), choice.taken) for choice in choices]
        if len(choices) > limit:
            raise GrammarLimit(f"json_schema: more than {limit} ways to go on after one property or item")
    return choices


def _take(
    choice: _Choice, clause: Clause, about: list[Atom], given: frozenset[Node], refused: frozenset[Node]
) -> Iterator[_Choice]:
    """The ways one clause may fare: fulfilled, held to by one literal alone, or left to those that are still open."""
    rest = set(clause)
    for literal in about:
        node = literal.node  # type: ignore[union-attr]
        if isinstance(literal, Some | SomeItem):
            if node in given or literal in choice.taken:
                yield choice
                return
        elif node not in given:
            rest.discard(literal)
    for literal in about:
        node = literal.node  # type: ignore[union-attr]
        if node in given or node in refused:
            continue
        taken = (*choice.taken, literal)
        if isinstance(literal, Every | EveryItem):
            yield _Choice((*choice.clauses, frozenset((literal,))), taken)
        else:
            yield _Choice(choice.clauses, taken)
    if rest:
        yield _Choice((*choice.clauses, frozenset(rest)), choice.taken)


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
    if len(kept) < 2:
        return frozenset(kept)
    return frozenset(clause for clause in kept if not any(other < clause for other in kept))


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
