"""Objects while they are read: which names may come next, and what their values must be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from grammars.json.conjunctions import Atom, Conjunction
from grammars.json.forms import KeyClasses
from grammars.json.keys import KeyTable
from grammars.json.node import FALSE, TRUE, CountProperties, Every, Node, Some
from grammars.json.object_clauses import ObjectClauses
from grammars.json.object_search import ObjectSearch, labels_of
from grammars.json.residual import Child, Clauses, Decide, Step, decide, explore, holds_at_end, undominated
from grammars.json.rivals import Rivals
from grammars.json.unlike import FrozenObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grammars.json.shapes import Shapes

__all__ = ["ObjectShape", "ObjectState", "Residual"]


class Residual(NamedTuple):
    """What distinguishes the states of one shape.

    Args:
        available: the labels that may still come, as a bit mask.
        clauses: what must still be fulfilled besides the required names.
        num_read: properties read so far, as far as bounds on their number tell counts apart.
        rivals: objects that the value must differ from and is equal to so far.
        taken: undeclared names that must not come again.
    """

    available: int
    clauses: Clauses
    num_read: int
    rivals: frozenset[FrozenObject]
    taken: frozenset[str]

    def without(self, available: int) -> Residual:
        """The same with other labels available."""
        return Residual(available, self.clauses, self.num_read, self.rivals, self.taken)


class ObjectShape:
    """One conjunction of constraints on an object: what all its states have in common.

    Args:
        shapes: the arena.
        conjunction: the constraints.
    """

    def __init__(self, shapes: Shapes, conjunction: Conjunction) -> None:
        self.shapes = shapes
        self.table = KeyTable(shapes.languages, conjunction, shapes.limits)
        self.clauses = ObjectClauses(self.table)
        self.in_order = shapes.key_order == "schema"
        self.low: int = 0
        self.high: int | None = None
        self.required = 0
        clauses = [frozenset(clause) for clause in conjunction.clauses]
        self._every: list[list[Node]] = [
            [] for _ in range((self.table.all_names | self.table.all_classes).bit_length())
        ]
        self._values: dict[int, Node] = {}
        self._children: dict[int, Child] = {}
        self._states: dict[Residual, ObjectState] = {}
        self._possible: int | None = None
        self.completions: dict[Residual, int | None] = {}
        """For residuals the labels of some properties that end an object well; None where there are none."""
        for atom in conjunction.atoms:
            clauses += self._take_atom(atom)
        self._literals = [literal for clause in clauses for literal in clause]
        available = self._available()
        self._rivals = Rivals(shapes.values, self.table, available, conjunction.rivals)
        self._simplify_bounds(available, clauses)
        self.is_plain = not clauses and not self._rivals.all and self.low == 0 and self.high is None
        keys = self.table.keys
        everything = (shapes.languages.everything,)
        self.is_free = self.is_plain and not (keys.names or any(self._every)) and keys.classes == everything
        """Whether it allows every object."""
        start = Residual(available, frozenset(clauses), 0, self._rivals.all, frozenset())
        self.start = None if self.required & ~available else self.settled(start)

    def _take_atom(self, atom: Atom) -> list[frozenset[Atom]]:
        """Notes what an atom says; the clause it is when it is decided only as properties come."""
        if isinstance(atom, Every):
            if atom.node is not TRUE:
                self._note(self.table.mask(atom.keys), atom.node)
        elif isinstance(atom, Some):
            mask = self.table.mask(atom.keys)
            if mask & self.table.all_classes or mask & (mask - 1) or not mask:
                return [frozenset((atom,))]
            self.required |= mask
            if atom.node is not TRUE:
                self._note(mask, atom.node)
        elif isinstance(atom, CountProperties):
            self.low = max(self.low, atom.low)
            if atom.high is not None:
                self.high = atom.high if self.high is None else min(self.high, atom.high)
        return []

    def _note(self, mask: int, node: Node) -> None:
        while mask:
            lowest = mask & -mask
            self._every[lowest.bit_length() - 1].append(node)
            mask ^= lowest

    def _available(self) -> int:
        mask = self.table.all_names | self.table.all_classes
        for label, nodes in enumerate(self._every):
            if nodes and FALSE in nodes:
                mask &= ~(1 << label)
        return mask

    def _simplify_bounds(self, available: int, clauses: list[frozenset[Atom]]) -> None:
        if self.low <= (self.required & available).bit_count():
            self.low = 0
        if self.high is not None and not available & self.table.all_classes and available.bit_count() <= self.high:
            self.high = None
        counts = [literal for clause in clauses for literal in clause if isinstance(literal, CountProperties)]
        self._wanted = max((literal.low for literal in counts), default=0)
        self._wanted = max(self._wanted, self.low)
        highs = [self.high, *(literal.high for literal in counts)]
        self.count_cap = max(self._wanted, *(0 if high is None else high + 1 for high in highs))

    def value(self, label: int) -> Node:
        """What the value under a label satisfies in any case."""
        found = self._values.get(label)
        if found is None:
            nodes = self._every[label]
            found = self._values[label] = nodes[0] if len(nodes) == 1 else self.shapes.merge.all_of(nodes)
        return found

    @property
    def possible(self) -> int:
        """The labels whose value can be at all, as a bit mask."""
        if self._possible is None:
            self._possible, mask = 0, self._available()
            for label, nodes in enumerate(self._every):
                if mask >> label & 1 and (not nodes or self.shapes.can_be(self.value(label))):
                    self._possible |= 1 << label
        return self._possible

    def begin(self) -> ObjectState | None:
        """The state right after the opening bracket; None when no object can be."""
        return self.state(self.start) if self.start is not None and self.can_complete(self.start) else None

    def state(self, residual: Residual) -> ObjectState:
        """The one state with that residual."""
        found = self._states.get(residual)
        if found is None:
            found = self._states[residual] = ObjectState(self, residual)
        return found

    def advance(
        self, residual: Residual, label: int, ordered: bool, decide: Decide
    ) -> Iterator[tuple[Residual, tuple[Node, ...]]]:
        """The ways to read a property: what is left after it, and what its value satisfies besides `value(label)`.

        Whether the value can be and the rest can be completed is not looked at.

        Args:
            residual: what is left before it.
            label: its label.
            ordered: whether what the schema has before it must not come any more.
            decide: which ways to take it there are, as clauses say.
        """
        if self.high is not None and residual.num_read >= self.high:
            return
        after = self.after(residual.available, label, ordered)
        count = min(residual.num_read + 1, self.count_cap)
        unlike_ways = (
            ((residual.rivals, ()),)
            if not residual.rivals
            else self._rivals.advance(residual.rivals, residual.available, after, label)
        )
        for rivals, unlike in unlike_ways:
            for step in self._decide(residual.clauses, label, decide):
                left = self.settled(Residual(after, step.clauses, count, rivals, residual.taken))
                if left is not None:
                    yield left, (*step.extra, *unlike)

    def _decide(self, clauses: Clauses, label: int, decide: Decide) -> Iterator[Step]:
        if not clauses:
            return iter((Step(clauses, ()),))
        child = self._children.get(label)
        if child is None:
            covers = partial(self._covers, label)
            base = frozenset((TRUE, self.value(label), *self._every[label]))
            asked = (literal.node for literal in self._literals if covers(literal))  # type: ignore[union-attr]
            child = self._children[label] = Child(self.value(label), base, covers, asked, self.shapes.cells)
        return decide(clauses, child, self.shapes.limits.alternatives)

    def _covers(self, label: int, literal: Atom) -> bool:
        return isinstance(literal, Every | Some) and bool(self.table.mask(literal.keys) >> label & 1)

    def after(self, available: int, label: int, ordered: bool) -> int:
        """The labels that may come after one."""
        if label >= self.table.num_names:
            return available & self.table.all_classes if ordered else available
        return available & (-2 << label) if ordered else available & ~(1 << label)

    def settled(self, residual: Residual) -> Residual | None:
        """The residual with decided literals dropped; None when a clause can no longer hold."""
        if not residual.clauses:
            return residual
        clauses = self.clauses.settle(residual.clauses, residual.available, residual.num_read)
        return None if clauses is None else residual._replace(clauses=clauses)

    def closes(self, residual: Residual) -> bool:
        """Whether the object may end here."""
        if residual.available & self.required or residual.num_read < self.low:
            return False
        if not all(holds_at_end(clause, residual.num_read) for clause in residual.clauses):
            return False
        return not self._rivals.is_equal(residual.rivals, residual.available)

    def can_complete(self, residual: Residual) -> bool:
        """Whether some object ends well from here."""
        if self.is_plain:
            return not self.required & residual.available & ~self.possible
        if not residual.clauses and not residual.rivals:
            return self._completes_counted(residual.available & self.possible, residual)
        return self.completion(residual) is not None

    def completion(self, residual: Residual) -> int | None:
        """The labels of some properties that end an object well, as a bit mask; None where there are none."""
        if residual not in self.completions and not self.shapes.emptiness.answer(
            ObjectSearch(self).completes(residual)
        ):
            self.completions[residual] = None
        return self.completions[residual]

    def _completes_counted(self, alive: int, residual: Residual) -> bool:
        """Whether the required names can all come, and the number of properties be right."""
        required = self.required & residual.available
        count = residual.num_read + required.bit_count()
        if required & ~alive or (self.high is not None and max(count, self.low) > self.high):
            return False
        return bool(alive & self.table.all_classes) or count + (alive & ~required).bit_count() >= self.low

    def must_capture(self, residual: Residual, label: int, has_extra: bool) -> bool:
        """Whether the undeclared name just read must not come again: its value fulfils something, or names count."""
        return label >= self.table.num_names and (has_extra or residual.num_read < self._wanted)

    def keys(self, taken: frozenset[str]) -> KeyClasses:
        """How names are told apart when some undeclared ones must not come again."""
        keys = self.table.keys
        if not taken:
            return keys
        languages = self.shapes.languages
        others = languages.complement(languages.literals(taken))
        return KeyClasses(keys.names, tuple(languages.intersect(language, others) for language in keys.classes))


class ObjectState:
    """A place in an object where a name or the closing bracket is next. The same residual is the same object.

    `captures` is true of some states that `next` gives: when the property is complete, `with_name` says, for the
    undeclared name it has, how to go on.
    """

    __slots__ = ("_alive", "_keys", "_next", "can_close", "captures", "residual", "shape")

    def __init__(self, shape: ObjectShape, residual: Residual, captures: bool = False) -> None:
        self.shape = shape
        self.residual = residual
        self.captures = captures
        self.can_close = shape.closes(residual)
        self._next: dict[int, tuple[tuple[ObjectState, Node], ...]] = {}
        self._keys: KeyClasses | None = None
        self._alive: int | None = None

    @property
    def keys(self) -> KeyClasses:
        """How names are told apart here; one object for all states of a shape, but where names must not come again."""
        if self._keys is None:
            self._keys = self.shape.keys(self.residual.taken)
        return self._keys

    @property
    def alive_mask(self) -> int:
        """The labels that may come now, as a bit mask."""
        if self._alive is None:
            self._alive = self._find_alive()
        return self._alive

    def _find_alive(self) -> int:
        shape, residual = self.shape, self.residual
        alive = residual.available & shape.possible
        if shape.in_order:
            required = shape.required & residual.available
            if required:
                alive &= ((required & -required) << 1) - 1
        if shape.is_plain:
            return alive
        free = self._free_labels()
        for label in labels_of(alive & ~free):
            if not (self._fits(label) or self._has_next(label)):
                alive ^= 1 << label
        return alive

    def _fits(self, label: int) -> bool:
        """Whether it shows that a name may come because it is part of some completion, or does not stand in its way."""
        shape, residual = self.shape, self.residual
        if not self._is_uncounted():
            return False
        completion = shape.completion(residual)
        if completion is None or (shape.in_order and completion & ((1 << label) - 1)):
            return False
        if completion >> label & 1:
            return True
        held = shape.clauses.held(residual.clauses).get(label, ())
        return not held or shape.shapes.can_be(shape.shapes.merge.all_of((shape.value(label), *held)))

    def _is_uncounted(self) -> bool:
        """Whether it is of no account how many properties there are, nor that the object differ from others."""
        shape, residual = self.shape, self.residual
        if residual.rivals or shape.low or shape.high is not None:
            return False
        return not shape.clauses.involved(residual.clauses).counts

    def _free_labels(self) -> int:
        """Labels that no clause, count or rival has to do with: whatever else can be can still be after them."""
        shape, residual = self.shape, self.residual
        if not self._is_uncounted():
            return 0
        involved = shape.clauses.involved(residual.clauses).labels
        if shape.in_order:
            skipped = involved & residual.available
            return ((skipped & -skipped) - 1) if skipped else -1
        return ~involved

    def allows(self, label: int) -> bool:
        """Whether a name with that label may come now."""
        return bool(self.alive_mask >> label & 1)

    def can_continue(self) -> bool:
        """Whether any name may come now."""
        return bool(self.alive_mask)

    def next(self, label: int) -> tuple[tuple[ObjectState, Node], ...]:
        """The alternatives after a name with that label: the state after the property, and what its value must satisfy.

        None when the name may not come now. Each alternative can be completed.

        Raises:
            GrammarLimit: finding that out took too much.
        """
        found = self._next.get(label)
        if found is None:
            found = self._next[label] = self._find_next(label) if self.alive_mask >> label & 1 else ()
        return found

    def _find_next(self, label: int) -> tuple[tuple[ObjectState, Node], ...]:
        shape = self.shape
        if shape.is_plain or self._free_labels() >> label & 1:
            left = self.residual.without(shape.after(self.residual.available, label, shape.in_order))
            return ((shape.state(left), shape.value(label)),)
        found: dict[tuple[ObjectState, Node], None] = {}
        for left, node, has_extra in self._ways(label, decide):
            captures = shape.must_capture(left, label, has_extra)
            state = ObjectState(shape, left, captures=True) if captures else shape.state(left)
            found[state, node] = None
        return undominated(found)

    def _has_next(self, label: int) -> bool:
        return any(True for _ in self._ways(label, explore))

    def _ways(self, label: int, decide: Decide) -> Iterator[tuple[Residual, Node, bool]]:
        """The ways to read a property, each of which can be completed.

        For each what is left after it, what its value must satisfy, and whether that is more than in any case.
        """
        shape, shapes = self.shape, self.shape.shapes
        value = shape.value(label)
        for left, extra in shape.advance(self.residual, label, shape.in_order, decide):
            node = shapes.merge.all_of((value, *extra)) if extra else value
            if shapes.can_be(node) and shape.can_complete(left):
                yield left, node, bool(extra)

    def with_name(self, name: str) -> tuple[ObjectState, ...]:
        """The states to go on from after a property with that undeclared name; for a state that captures."""
        left = self.residual._replace(taken=self.residual.taken | {name})
        return (self.shape.state(left),)
