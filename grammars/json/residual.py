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

__all__ = ["Clause", "Clauses", "Step", "decide", "holds_at_end", "settle", "undominated"]

Clause: TypeAlias = frozenset[Atom]
Clauses: TypeAlias = frozenset[Clause]

_State = TypeVar("_State")


class Step(NamedTuple):
    """One way to take a child: the clauses that are open after it, and what its value must satisfy besides."""

    clauses: Clauses
    extra: tuple[Node, ...]


class _Choice(NamedTuple):
    clauses: tuple[Clause, ...]
    taken: tuple[Atom, ...]  # literals the child's value fulfils or holds to


def decide(clauses: Clauses, covers: Callable[[Atom], bool], base: frozenset[Node], limit: int) -> Iterator[Step]:
    """The ways to take one child.

    Args:
        clauses: what is open before it.
        covers: whether a literal is about it.
        base: what its value satisfies anyway.
        limit: how many ways there may be.

    Raises:
        GrammarLimit: there are more.
    """
    choices = [_Choice((), ())]
    for clause in sorted(clauses, key=len):
        about = [literal for literal in clause if covers(literal)]
        if not about:
            choices = [_Choice((*choice.clauses, clause), choice.taken) for choice in choices]
            continue
        choices = [after for choice in choices for after in _take(choice, clause, about, base)]
        if len(choices) > limit:
            raise GrammarLimit(f"json_schema: more than {limit} ways to go on after one property or item")
    for choice in choices:
        nodes = dict.fromkeys(literal.node for literal in choice.taken)  # type: ignore[union-attr]
        yield Step(frozenset(choice.clauses), tuple(node for node in nodes if node not in base))


def _take(choice: _Choice, clause: Clause, about: list[Atom], base: frozenset[Node]) -> Iterator[_Choice]:
    somes = [literal for literal in about if isinstance(literal, Some | SomeItem)]
    if any(literal in choice.taken or literal.node in base for literal in somes):
        yield choice
        return
    for some in somes:
        yield _Choice(choice.clauses, (*choice.taken, some))
    for literal in about:
        if isinstance(literal, Every | EveryItem):
            yield _Choice((*choice.clauses, frozenset((literal,))), (*choice.taken, literal))
    rest = clause.difference(literal for literal in about if isinstance(literal, Every | EveryItem))
    if rest:
        yield _Choice((*choice.clauses, rest), choice.taken)


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


def undominated(
    found: Iterable[tuple[_State, Node]], clauses: Callable[[_State], Clauses]
) -> tuple[tuple[_State, Node], ...]:
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
