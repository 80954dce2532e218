"""What the clauses of one object depend on, and what is left of them when names can no longer come."""

from __future__ import annotations

from typing import NamedTuple

from grammars.json.conjunctions import Atom
from grammars.json.keys import KeyTable
from grammars.json.node import CountProperties, Every, Node, Some
from grammars.json.object_search import labels_of
from grammars.json.residual import Clause, Clauses, undominated_clauses

__all__ = ["Involved", "ObjectClauses"]


class Involved(NamedTuple):
    """What decides about clauses.

    Args:
        labels: the names, as a bit mask.
        counts: whether the number of properties does.
    """

    labels: int
    counts: bool


_Fate = Clause | bool
"""What is left of a clause, True when it holds whatever comes, False when it can no longer hold."""


class ObjectClauses:
    """Settles clauses, each of them once for each set of the names it is about that may still come.

    Args:
        table: the labels of names.
    """

    def __init__(self, table: KeyTable) -> None:
        self._table = table
        self._by_clause: dict[Clause, Involved] = {}
        self._by_clauses: dict[Clauses, Involved] = {}
        self._held: dict[Clauses, dict[int, list[Node]]] = {}
        self._fates: dict[tuple[Clause, int, int], _Fate] = {}

    def involved(self, clauses: Clauses) -> Involved:
        """What decides about some clauses."""
        found = self._by_clauses.get(clauses)
        if found is None:
            labels, counts = 0, False
            for clause in clauses:
                one = self._of(clause)
                labels |= one.labels
                counts |= one.counts
            found = self._by_clauses[clauses] = Involved(labels, counts)
        return found

    def held(self, clauses: Clauses) -> dict[int, list[Node]]:
        """For each label, what its value satisfies if it breaks none of the literals in clauses."""
        found = self._held.get(clauses)
        if found is None:
            found = self._held[clauses] = {}
            for literal in dict.fromkeys(literal for clause in clauses for literal in clause):
                if isinstance(literal, Every):
                    for label in labels_of(self._table.mask(literal.keys)):
                        found.setdefault(label, []).append(literal.node)
        return found

    def _of(self, clause: Clause) -> Involved:
        found = self._by_clause.get(clause)
        if found is None:
            labels, counts = 0, False
            for literal in clause:
                if isinstance(literal, Every | Some):
                    labels |= self._table.mask(literal.keys)
                else:
                    counts = True
            found = self._by_clause[clause] = Involved(labels, counts)
        return found

    def settle(self, clauses: Clauses, available: int, num_read: int) -> Clauses | None:
        """Clauses without the literals that are decided; None when one of them can no longer hold.

        Args:
            clauses: what is open.
            available: the labels that may still come.
            num_read: how many properties there are.
        """
        kept: list[Clause] = []
        for clause in clauses:
            about = self._by_clause.get(clause) or self._of(clause)
            key = (clause, about.labels & available, num_read if about.counts else 0)
            fate = self._fates.get(key)
            if fate is None:
                fate = self._fates[key] = self._decide(clause, available, num_read)
            if fate is False:
                return None
            if fate is not True:
                kept.append(fate)
        return undominated_clauses(kept)

    def _decide(self, clause: Clause, available: int, num_read: int) -> _Fate:
        left: list[Atom] = []
        for literal in clause:
            holds = self._holds(literal, available, num_read)
            if holds:
                return True
            if holds is None:
                left.append(literal)
        return frozenset(left) if left else False

    def _holds(self, literal: Atom, available: int, num_read: int) -> bool | None:
        """Whether a literal holds whatever of the available labels come; None when that is open."""
        if isinstance(literal, CountProperties):
            if literal.high is not None and num_read > literal.high:
                return False
            return True if literal.high is None and num_read >= literal.low else None
        if isinstance(literal, Every | Some) and not self._table.mask(literal.keys) & available:
            return isinstance(literal, Every)
        return None
