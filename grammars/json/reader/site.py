"""A site: one subschema that is being read, in one sign, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeAlias

from grammars.errors import InvalidSpec
from grammars.json.node import FALSE, TRUE, JsonType, Node
from grammars.json.reader.document import Resource, Target, escape

if TYPE_CHECKING:
    from grammars.json.reader.builder import Builder

__all__ = ["Aspect", "Scope", "Site"]

Scope: TypeAlias = tuple[Resource, ...]
"""The resources with dynamic anchors that evaluation has come through, outermost first."""
Aspect: TypeAlias = Literal["value", "name"]
"""What a schema is read for: any value, or a property name, when what it says of other values is left out."""

SOLE: dict[object, JsonType] = {"string": "string", "number": "number", "integer": "number", "array": "array"}
SOLE["object"] = "object"
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
MAX_SHOWN = 60


@dataclass(slots=True)
class Site:
    """One subschema and its context; what the keywords are read with.

    `negated` says that the negation of the subschema is wanted: each keyword then gives its dual. `scope` already
    contains the site's own resource.
    """

    builder: Builder
    schema: dict[str, object]
    place: str
    resource: Resource
    scope: Scope
    negated: bool
    aspect: Aspect = "value"

    @property
    def sole(self) -> JsonType | None:
        """The only type the schema itself allows, if it has one: its keywords need not provide for others."""
        kind = self.schema.get("type")
        return None if not isinstance(kind, str) or self.nullable else SOLE.get(kind)

    @property
    def only_reference(self) -> bool:
        """Whether a reference is all that counts here: up to draft 7 what stands beside it is ignored."""
        return "$ref" in self.schema and (self.resource.draft or 2020) <= 7

    def references(self) -> list[str]:
        """The keywords here that refer to another schema for the same value."""
        return ["$ref"] if self.only_reference else [keyword for keyword in REFERENCES if keyword in self.schema]

    @property
    def nullable(self) -> bool:
        """OpenAPI's `nullable`, which no draft of JSON Schema knows: heeded where `$schema` names none."""
        return self.schema.get("nullable") is True and self.resource.draft is None

    def target(self, schema: object, path: str) -> Target:
        """A subschema of this one; `path` is the JSON pointer from here."""
        return Target(schema, self.place + path, self.resource)

    def here(self, schema: object, path: str, negated: bool) -> Node:
        """The node of a subschema that is about the same value."""
        return self.builder.node(self.target(schema, path), self.scope, negated, self.aspect)

    def inside(self, schema: object, path: str, negated: bool) -> Node:
        """The node of a subschema that is about a property or an item of the value."""
        return self.builder.inner(self.target(schema, path), self.scope, negated)

    def vacuous(self, kind: JsonType, node: Node) -> Node:
        """A constraint on values of one kind that others satisfy, from one (`Some`, `SomeItem`) that they do not."""
        if self.sole == kind:
            return node
        logic = self.builder.logic
        return logic.any_of((logic.is_not_type(kind), node))

    def demanding(self, kind: JsonType, node: Node) -> Node:
        """The negation of a constraint on one kind, from one that values of other kinds satisfy."""
        if self.sole == kind:
            return node
        logic = self.builder.logic
        return logic.all_of((logic.is_type((kind,)), node))

    def counted(self, kind: JsonType, make: type, low: int, high: int | None) -> Node:
        """That something about values of one kind is counted to be `low` to `high`, or the negation."""
        nodes, logic = self.builder.nodes, self.builder.logic
        if low == 0 and high is None:
            return FALSE if self.negated else TRUE
        if high is not None and high < low:
            return logic.is_type((kind,)) if self.negated else logic.is_not_type(kind)
        if not self.negated:
            return nodes.make(make, low, high)
        outside: list[Node] = [nodes.make(make, 0, low - 1)] if low else []
        if high is not None:
            outside.append(nodes.make(make, high + 1, None))
        return self.demanding(kind, logic.any_of(outside))

    def invalid(self, keyword: str, expected: str, value: object = None) -> InvalidSpec:
        """The error for a keyword with a wrong value."""
        shown = json.dumps(self.schema[keyword] if value is None else value, default=str)
        if len(shown) > MAX_SHOWN:
            shown = shown[: MAX_SHOWN - 3] + "..."
        return InvalidSpec(f"{keyword} at {self.place or '/'}: {shown} is not {expected}")

    def number(self, keyword: str) -> Decimal | None:
        """A keyword's value as an exact number; None where there is none."""
        value = self.schema.get(keyword)
        if value is None and keyword not in self.schema:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value != value:  # NaN
            raise self.invalid(keyword, "a number")
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)

    def count(self, keyword: str) -> int | None:
        """A keyword's value as a count; None where there is none."""
        value = self.number(keyword)
        if value is None:
            return None
        if value < 0 or not value.is_finite() or value.adjusted() > 18 or value != value.to_integral_value():
            raise self.invalid(keyword, "a whole number from 0 to 10^18")
        return int(value)

    def mapping(self, keyword: str) -> Iterator[tuple[str, object, str]]:
        """The entries of a keyword whose value is an object: name, value, and the pointer from here."""
        value = self.schema.get(keyword, {})
        if not isinstance(value, dict):
            raise self.invalid(keyword, "an object")
        return ((name, item, f"/{keyword}/{escape(name)}") for name, item in value.items())

    def sequence(self, keyword: str) -> Iterator[tuple[object, str]]:
        """The items of a keyword whose value is a list: value and the pointer from here."""
        value = self.schema.get(keyword, [])
        if not isinstance(value, list):
            raise self.invalid(keyword, "a list")
        return ((item, f"/{keyword}/{index}") for index, item in enumerate(value))

    def text(self, keyword: str) -> str:
        """The value of a keyword that is a string."""
        value = self.schema[keyword]
        if not isinstance(value, str):
            raise self.invalid(keyword, "a string")
        return value

    def names(self, keyword: str, value: object) -> list[str]:
        """A list of property names."""
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self.invalid(keyword, "a list of names", value)
        return list(dict.fromkeys(value))

    def join(self, items: Iterable[Node]) -> Node:
        """All of these, or the dual, when they are negations."""
        return self.builder.logic.join(items, self.negated)
