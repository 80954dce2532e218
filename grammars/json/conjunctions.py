"""A node restricted to objects or to arrays, as alternatives that are each a plain conjunction.

What negations and dependencies make, a disjunction of single atoms, stays as it is (a clause): it is decided property
by property or item by item later on. Other disjunctions are split here, those branches left out that contradict the
rest for a reason that shows without looking into nested values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from grammars.errors import GrammarLimit
from grammars.json.merge import Merge
from grammars.json.node import (
    FALSE,
    TRUE,
    All,
    Any,
    CountItems,
    CountMatching,
    CountProperties,
    Distinct,
    Every,
    EveryItem,
    IsType,
    Node,
    Ref,
    Some,
    SomeItem,
)
from grammars.json.scalars import BITS, Scalars
from grammars.json.targets import Targets
from grammars.json.unlike import Frozen, FrozenArray, FrozenObject, Unlike

__all__ = ["Atom", "Conjunction", "Splitter"]

Atom: TypeAlias = Every | Some | CountProperties | EveryItem | SomeItem | CountItems | CountMatching | Distinct

_ATOMS: dict[str, tuple[type, ...]] = {
    "object": (Every, Some, CountProperties),
    "array": (EveryItem, SomeItem, CountItems, CountMatching, Distinct),
}
_LITERALS = (Every, Some, CountProperties, EveryItem, SomeItem, CountItems)
_MAX_DISTRIBUTED = 16


@dataclass(frozen=True, slots=True)
class Conjunction:
    """All of `atoms` hold, one of each of `clauses`, and the value equals none of `rivals`; in schema order."""

    atoms: tuple[Atom, ...]
    clauses: tuple[tuple[Atom, ...], ...] = ()
    rivals: tuple[Frozen, ...] = ()

    @property
    def parts(self) -> frozenset[object]:
        """Everything that must hold, as a set: a conjunction with more of them allows less."""
        return frozenset((*self.atoms, *map(frozenset, self.clauses), *self.rivals))


@dataclass(slots=True)
class _Draft:
    atoms: dict[Atom, None]
    clauses: dict[frozenset[Atom], tuple[Atom, ...]]
    choices: dict[tuple[Node, ...], None]
    rivals: dict[Frozen, None]

    def copy(self) -> _Draft:
        return _Draft(dict(self.atoms), dict(self.clauses), dict(self.choices), dict(self.rivals))

    def add_clause(self, literals: Iterable[Atom]) -> None:
        ordered = tuple(literals)
        self.clauses[frozenset(ordered)] = ordered

    def finish(self) -> Conjunction:
        return Conjunction(tuple(self.atoms), tuple(self.clauses.values()), tuple(self.rivals))


@dataclass(frozen=True, slots=True)
class _Core:
    """The atoms of a node that hold whatever is chosen in it; whether they are all of it; whether it can hold."""

    atoms: tuple[Atom, ...]
    is_all: bool
    possible: bool


class Splitter:
    """Splits nodes for one kind of value.

    Args:
        kind: what the value is.
        scalars, targets, merge: what nodes are read and made with.
        limit: how many alternatives are looked at for one node.
    """

    def __init__(
        self, kind: Literal["object", "array"], scalars: Scalars, targets: Targets, merge: Merge, limit: int
    ) -> None:
        self._kind = kind
        self._scalars = scalars
        self._targets = targets
        self._merge = merge
        self._limit = limit
        self._disjuncts: dict[Any, tuple[Node, ...] | None] = {}
        self._cores: dict[Node, _Core] = {}

    def split(self, node: Node) -> tuple[Conjunction, ...]:
        """The alternatives of a node; none where it shows at once that there is no such value.

        Raises:
            GrammarLimit: there are too many.
        """
        done: list[Conjunction] = []
        stack: list[tuple[_Draft, tuple[Node, ...]]] = [(_Draft({}, {}, {}, {}), (node,))]
        steps = 0
        while stack:
            steps += 1
            if steps > self._limit:
                raise GrammarLimit(f"json_schema: more than {self._limit} alternatives for one {self._kind}")
            draft, added = stack.pop()
            if not self._take(draft, added):
                continue
            if not draft.choices:
                done.append(draft.finish())
                continue
            choice = min(draft.choices, key=len)
            del draft.choices[choice]
            stack += ((draft.copy(), (option,)) for option in reversed(choice))
        return _without_implied(done)

    def _add(self, draft: _Draft, added: Iterable[Node], whole: bool = True) -> bool:
        """Takes nodes into a draft; False when that contradicts the kind. Unless `whole`, choices are only noted."""
        pending = list(added)[::-1]
        atoms = _ATOMS[self._kind]
        while pending:
            node = pending.pop()
            if isinstance(node, atoms):
                draft.atoms[cast(Atom, node)] = None
            elif isinstance(node, All):
                pending += node.items[::-1]
            elif isinstance(node, Any | Unlike) and not whole:
                draft.choices[(node,)] = None
            elif isinstance(node, Unlike):
                rival = FrozenObject if self._kind == "object" else FrozenArray
                draft.rivals.update((value, None) for value in node.values if isinstance(value, rival))
            elif isinstance(node, Ref):
                pending.append(self._targets.of(node))
            elif isinstance(node, IsType):
                if self._kind not in node.types:
                    return False
            elif isinstance(node, Any):
                disjuncts = self._split_any(node)
                if disjuncts is not None and not self._add_choice(draft, disjuncts, pending):
                    return False
            elif isinstance(node, Some | SomeItem):
                return False
        return True

    def _add_choice(self, draft: _Draft, disjuncts: tuple[Node, ...], pending: list[Node]) -> bool:
        if len(disjuncts) < 2:
            pending += disjuncts
            return bool(disjuncts)
        parts = [self.flat(disjunct) for disjunct in disjuncts]
        singles = [part[0] for part in parts if part is not None and len(part) == 1 and isinstance(part[0], _LITERALS)]
        if len(singles) == len(disjuncts):
            draft.add_clause(self._unite(singles))
            return True
        large = [part for part in parts if part is None or len(part) > 1]
        one = large[0] if len(large) == 1 and len(singles) + 1 == len(disjuncts) else None
        if one is not None and len(one) <= _MAX_DISTRIBUTED and all(isinstance(atom, _LITERALS) for atom in one):
            for atom in one:
                draft.add_clause(self._unite([*singles, atom]))
        else:
            draft.choices[disjuncts] = None
        return True

    def _unite(self, literals: Sequence[Atom]) -> Iterable[Atom]:
        """Literals of a clause, with those about the same properties made one."""
        united: dict[object, Atom] = {}
        for literal in literals:
            key: object = literal
            if isinstance(literal, Some) or (isinstance(literal, Every) and _one_name(literal) is not None):
                key = (type(literal), literal.keys)
                before = united.get(key)
                if before is not None:
                    either = self._merge.any_of((cast(Every, before).node, literal.node))
                    literal = self._merge.nodes.make(type(literal), literal.keys, either)
            united[key] = literal
        return united.values()

    def _split_any(self, node: Any) -> tuple[Node, ...] | None:
        """The disjuncts that this kind of value may satisfy, nested ones included; None when one holds anyway."""
        if node not in self._disjuncts:
            self._disjuncts[node] = self._find_disjuncts(node)
        return self._disjuncts[node]

    def _find_disjuncts(self, node: Any) -> tuple[Node, ...] | None:
        found: dict[Node, None] = {}
        pending = list(node.items)[::-1]
        while pending:
            item = pending.pop()
            if isinstance(item, Any):
                pending += item.items[::-1]
            elif isinstance(item, Ref) and not isinstance(item, Unlike):
                pending.append(self._targets.of(item))
            elif self._scalars.kinds(item) & BITS[self._kind]:
                if self.flat(item) == ():
                    return None
                found[item] = None
        return tuple(found)

    def flat(self, node: Node) -> tuple[Atom, ...] | None:
        """The atoms a node is a conjunction of, for this kind of value; None when there is a choice in it."""
        core = self._core(node)
        return core.atoms if core.is_all else None

    def _core(self, node: Node) -> _Core:
        found = self._cores.get(node)
        if found is None:
            draft = _Draft({}, {}, {}, {})
            possible = self._add(draft, (node,), whole=False)
            found = self._cores[node] = _Core(tuple(draft.atoms), possible and not draft.choices, possible)
        return found

    def _take(self, draft: _Draft, added: Iterable[Node]) -> bool:
        """Takes nodes into a draft, and whatever follows; False on a contradiction."""
        while added:
            if not self._add(draft, added):
                return False
            names = _Named(draft.atoms, self._merge, self._scalars)
            if names.contradict():
                return False
            forced = _settle_clauses(draft, names)
            if forced is None or not self._settle_choices(draft, names, forced):
                return False
            added = forced
        return True

    def _settle_choices(self, draft: _Draft, names: _Named, forced: list[Node]) -> bool:
        """Drops choices that are made, and options that cannot be; what is left alone is forced. False if none is."""
        for choice in list(draft.choices):
            cores = {option: self._core(option) for option in choice}
            if any(core.is_all and all(map(names.grants, core.atoms)) for core in cores.values()):
                del draft.choices[choice]
                continue
            kept = tuple(
                option for option, core in cores.items() if core.possible and not any(map(names.refutes, core.atoms))
            )
            if len(kept) < len(choice):
                del draft.choices[choice]
                if len(kept) > 1:
                    draft.choices[kept] = None
                elif kept:
                    forced += kept
                else:
                    return False
        return True


def _settle_clauses(draft: _Draft, names: _Named) -> list[Node] | None:
    """Drops clauses that hold, and literals that cannot; the literals left alone, or None if a clause has none."""
    forced: list[Node] = []
    for clause, literals in list(draft.clauses.items()):
        kept = [literal for literal in literals if not names.refutes(literal)]
        if not kept:
            return None
        if len(kept) == len(literals) and not any(map(names.grants, kept)):
            continue
        del draft.clauses[clause]
        if not any(map(names.grants, kept)):
            if len(kept) == 1:
                forced += kept
            else:
                draft.add_clause(kept)
    return forced


class _Named:
    """What the atoms of a draft say of single names."""

    def __init__(self, atoms: Iterable[Atom], merge: Merge, scalars: Scalars) -> None:
        self._merge = merge
        self._scalars = scalars
        self._single: dict[str, list[Node]] = {}
        self._others: list[tuple[frozenset[str], Node]] = []
        self._wanted: dict[str, list[Node]] = {}
        self._atoms = frozenset(atoms)
        for atom in atoms:
            if isinstance(atom, Some):
                name = _one_name(atom)
                if name is not None:
                    self._wanted.setdefault(name, []).append(atom.node)
            elif isinstance(atom, Every) and atom.node is not TRUE:
                if atom.keys.negated:
                    if not atom.keys.patterns:
                        self._others.append((frozenset(atom.keys.names), atom.node))
                else:
                    for name in atom.keys.names:
                        self._single.setdefault(name, []).append(atom.node)

    def _about(self, name: str) -> list[Node]:
        others = (node for names, node in self._others if name not in names)
        return [*self._single.get(name, ()), *others]

    def contradict(self) -> bool:
        """Whether a name must come whose value cannot be."""
        return any(self._impossible([*self._about(name), *nodes]) for name, nodes in self._wanted.items())

    def refutes(self, literal: Atom) -> bool:
        """Whether the literal cannot hold."""
        if not isinstance(literal, Every | Some):
            return False
        name = _one_name(literal)
        if name is None or (isinstance(literal, Every) and name not in self._wanted):
            return False
        return self._impossible([*self._about(name), *self._wanted.get(name, ()), literal.node])

    def grants(self, literal: Atom) -> bool:
        """Whether the literal is sure to hold."""
        if literal in self._atoms:
            return True
        if not isinstance(literal, Every | Some):
            return False
        name = _one_name(literal)
        if name is None or (isinstance(literal, Some) and name not in self._wanted):
            return False
        known = self._merge.all_of([*self._about(name), *self._wanted.get(name, ())])
        return self._scalars.surely_implies(known, literal.node)

    def _impossible(self, nodes: list[Node]) -> bool:
        if FALSE in nodes:
            return True
        wanted = [node for node in nodes if node is not TRUE]
        return len(wanted) > 1 and self._scalars.surely_empty(self._merge.all_of(wanted))


def _one_name(atom: Every | Some) -> str | None:
    keys = atom.keys
    return keys.names[0] if len(keys.names) == 1 and not keys.patterns and not keys.negated else None


def _without_implied(found: list[Conjunction]) -> tuple[Conjunction, ...]:
    """Leaves out conjunctions that another one is part of."""
    if not 1 < len(found) <= 64:
        return tuple(found)
    sets = [one.parts for one in found]
    return tuple(
        one
        for at, one in enumerate(found)
        if not any(other < sets[at] or (other == sets[at] and before < at) for before, other in enumerate(sets))
    )
