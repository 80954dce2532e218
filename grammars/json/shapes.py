"""The arena that turns constraint nodes into what may come next."""

from __future__ import annotations

from typing import Literal

from grammars.errors import GrammarLimit
from grammars.json.array_search import ArraySearch
from grammars.json.arrays import ArrayShape
from grammars.json.conjunctions import Conjunction, Splitter
from grammars.json.emptiness import Asking, Emptiness
from grammars.json.forms import Forms, ShapeLimits
from grammars.json.merge import Merge
from grammars.json.node import Node, Nodes
from grammars.json.object_search import ObjectSearch
from grammars.json.objects import ObjectShape
from grammars.json.scalars import ARRAY, BITS, OBJECT, Scalars
from grammars.json.targets import Targets
from grammars.json.unlike import Values
from grammars.json.value_cells import ValueCells
from grammars.json.witness import Witness
from grammars.regular.language import Languages

__all__ = ["Shapes"]


class Shapes:
    """Knows, for every node, the values it allows. Everything is worked out when asked for, and kept.

    Args:
        languages: the arena of the languages in the nodes.
        nodes: the table the nodes are made by.
        key_order: "any" lets declared names come in any order, "schema" only in the order the schema has them in,
            undeclared names after them.
        limits: when to give up.
    """

    def __init__(
        self,
        languages: Languages,
        nodes: Nodes,
        key_order: Literal["any", "schema"] = "any",
        limits: ShapeLimits | None = None,
    ) -> None:
        self.languages = languages
        self.key_order = key_order
        self.limits = limits or ShapeLimits()
        self.merge = Merge(nodes)
        self.values = Values(languages, nodes)
        targets = Targets(nodes)
        self.scalars = Scalars(languages, targets)
        alternatives = self.limits.alternatives
        self._objects_of = Splitter("object", self.scalars, targets, self.merge, alternatives)
        self._arrays_of = Splitter("array", self.scalars, targets, self.merge, alternatives)
        whole = {OBJECT: self._objects_of.flat, ARRAY: self._arrays_of.flat}
        self.cells = ValueCells(languages, nodes, self.scalars, whole, self.limits.cells)
        self._witness = Witness(targets)
        self.emptiness = Emptiness(self._question)
        self._forms: dict[Node, Forms] = {}
        self._objects: dict[Node, tuple[ObjectShape, ...]] = {}
        self._arrays: dict[Node, tuple[ArrayShape, ...]] = {}
        self._object_kept: dict[frozenset[object], ObjectShape] = {}
        self._array_kept: dict[frozenset[object], ArrayShape] = {}

    def forms(self, node: Node) -> Forms:
        """What a value that satisfies a node may be.

        Raises:
            GrammarLimit: it takes more than the limits allow to find out.
        """
        found = self._forms.get(node)
        if found is None:
            try:
                found = self._forms[node] = self._find_forms(node)
            except RecursionError:
                raise GrammarLimit("json_schema: constraints are nested too deeply") from None
        return found

    def is_empty(self, node: Node) -> bool:
        """Whether no value satisfies a node. Only finite values count, so what requires itself is empty.

        Objects and arrays of the node are prepared in any case, so that limits they exceed show here.

        Raises:
            GrammarLimit: it takes more than the limits allow to find out.
        """
        try:
            self._object_shapes(node)
            self._array_shapes(node)
            return self.emptiness.is_empty(node)
        except RecursionError:
            raise GrammarLimit("json_schema: constraints are nested too deeply") from None

    def can_be(self, node: Node) -> bool:
        """Whether some value satisfies a node, found out with as little work as possible."""
        try:
            return self._witness.shows(node) or not self.emptiness.is_empty(node)
        except RecursionError:
            raise GrammarLimit("json_schema: constraints are nested too deeply") from None

    def _find_forms(self, node: Node) -> Forms:
        kinds = self.scalars.kinds(node)
        objects = self._object_shapes(node)
        arrays = self._array_shapes(node)
        return Forms(
            null=bool(kinds & BITS["null"]),
            true=bool(kinds & BITS["true"]),
            false=bool(kinds & BITS["false"]),
            string=self.scalars.string(node),
            number=self.scalars.number(node),
            objects=tuple(begun for shape in objects if (begun := shape.begin()) is not None),
            arrays=tuple(opened for shape in arrays if (opened := shape.begin()) is not None),
        )

    def _question(self, node: Node) -> bool | Asking:
        """Whether a node is empty, or how to find out where it takes a look at properties and items."""
        if self._witness.shows(node) or self.scalars.has_scalar(node):
            return False
        objects, arrays = self._object_shapes(node), self._array_shapes(node)
        if not objects and not arrays:
            return True
        return _has_compound(objects, arrays)

    def _object_shapes(self, node: Node) -> tuple[ObjectShape, ...]:
        found = self._objects.get(node)
        if found is None:
            split = self._objects_of.split(node) if self.scalars.kinds(node) & OBJECT else ()
            found = self._objects[node] = tuple(dict.fromkeys(self._object_shape(one) for one in split))
        return found

    def _array_shapes(self, node: Node) -> tuple[ArrayShape, ...]:
        found = self._arrays.get(node)
        if found is None:
            split = self._arrays_of.split(node) if self.scalars.kinds(node) & ARRAY else ()
            found = self._arrays[node] = tuple(dict.fromkeys(self._array_shape(one) for one in split))
        return found

    def _object_shape(self, conjunction: Conjunction) -> ObjectShape:
        key = conjunction.parts
        found = self._object_kept.get(key)
        if found is None:
            found = self._object_kept[key] = ObjectShape(self, conjunction)
        return found

    def _array_shape(self, conjunction: Conjunction) -> ArrayShape:
        key = conjunction.parts
        found = self._array_kept.get(key)
        if found is None:
            found = self._array_kept[key] = ArrayShape(self, conjunction)
        return found


def _has_compound(objects: tuple[ObjectShape, ...], arrays: tuple[ArrayShape, ...]) -> Asking:
    """Whether one of the shapes can be completed. Shapes whose first state may end at once come first."""
    if any(shape.start and shape.closes(shape.start) for shape in objects):
        return True
    for array in arrays:
        if array.start and (yield from ArraySearch(array).completes(array.start)):
            return True
    for shape in objects:
        if shape.start and (yield from ObjectSearch(shape).completes(shape.start)):
            return True
    return False
