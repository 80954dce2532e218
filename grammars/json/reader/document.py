"""Documents: where the subschemas of a JSON Schema lie, and what a reference points to.

Knows nothing of what keywords mean, beyond which of them hold subschemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urljoin, urlsplit

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint

__all__ = ["Library", "Resource", "Target"]

Holds: TypeAlias = Literal["schema", "list", "map", "either"]
SUBSCHEMAS: Mapping[str, Holds] = {
    **dict.fromkeys(("additionalProperties", "additionalItems", "unevaluatedProperties", "unevaluatedItems"), "schema"),
    **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames", "contentSchema"), "schema"),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "list"),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"), "map"),
    "dependencies": "map",
    "items": "either",
}
"""The keywords that hold subschemas, and in which form."""

IDENTIFYING = frozenset(("$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"))
"""The keywords that make a subschema something to refer to."""
DRAFTS = {"draft-03": 3, "draft-04": 4, "draft-06": 6, "draft-07": 7, "2019-09": 2019, "2020-12": 2020}


@dataclass(slots=True, eq=False)
class Resource:
    """A schema with a URI of its own: a document's root, or a subschema with an `$id`.

    `place` is the JSON pointer from the document's root, after the document's URI if that is not the main one.
    `draft` is None where `$schema` does not say. `dynamic` holds the `$dynamicAnchor`s, and `""` where
    `$recursiveAnchor` is true.
    """

    uri: str
    schema: object
    place: str
    draft: int | None
    home: Resource | None = None
    anchors: dict[str, Target] = field(default_factory=dict)
    dynamic: dict[str, Target] = field(default_factory=dict)


class Target(NamedTuple):
    """What a reference points to: a schema, its place, and the resource it belongs to."""

    schema: object
    place: str
    resource: Resource


def draft_of(schema: object) -> int | None:
    """The draft that `$schema` names (3, 4, 6, 7, 2019 or 2020), or None."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(named, str):
        return None
    return next((draft for mark, draft in DRAFTS.items() if mark in named), None)


def escape(name: str) -> str:
    """A name as one token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def subschemas(schema: dict[str, object]) -> Iterator[tuple[object, str]]:
    """Each subschema of a schema with its pointer from there; values of the wrong type are passed over."""
    for keyword, value in schema.items():
        holds = SUBSCHEMAS.get(keyword)
        if holds is None:
            continue
        if isinstance(value, list) and holds in ("list", "either"):
            for index, item in enumerate(value):
                yield item, f"/{keyword}/{index}"
        elif isinstance(value, dict) and holds in ("schema", "either"):
            yield value, f"/{keyword}"
        elif isinstance(value, dict) and holds == "map":
            for name, item in value.items():
                yield item, f"/{keyword}/{escape(name)}"


class Library:
    """The main document and those a registry gives, with all resources and anchors in them.

    Args:
        schema: the main document, parsed.
        registry: other documents by URI; nothing is ever fetched.
        max_depth: how deep schemas may be nested.
        max_schemas: how many subschemas all the documents may have together.

    Raises:
        GrammarLimit: a document is nested deeper, or there are more subschemas.
    """

    def __init__(
        self, schema: object, registry: Mapping[str, object] | None, *, max_depth: int, max_schemas: int
    ) -> None:
        self._registry = {uri.removesuffix("#"): document for uri, document in (registry or {}).items()}
        self._max_depth = max_depth
        self._left = max_schemas
        self._resources: dict[str, Resource] = {}
        self.nested: dict[int, Resource] = {}
        """Resources that begin inside a document, by the identity of their schema."""
        self.main = self._add(schema, "", "")

    def resolve(self, reference: str, source: Resource, place: str, keyword: str = "$ref") -> Target:
        """What a reference points to.

        Args:
            reference: the value of the keyword.
            source: the resource that holds it.
            place: where it stands, for messages.

        Raises:
            InvalidSpec: it points into a known document, at nothing.
            UnsupportedConstraint: it points to a document that is not in the registry.
        """
        relative, _, fragment = reference.partition("#")
        resource = source if not relative else self._resource(self._absolute(relative, source.uri))
        if resource is None:
            reason = f"{reference!r} points to another document, and none with that URI is in the registry"
            raise UnsupportedConstraint(keyword, place, reason)
        if "%" in fragment:
            fragment = unquote(fragment)
        found = self._inside(resource, fragment)
        if found is None and fragment.startswith("/") and resource.home is not None:
            # Pointers in nested resources start there, but many a real schema means its document's root.
            found = self._inside(resource.home, fragment)
        if found is None:
            raise InvalidSpec(f"{keyword} at {place or '/'}: {reference!r} points to nothing in the schema")
        return found

    def _inside(self, resource: Resource, fragment: str) -> Target | None:
        if not fragment:
            return Target(resource.schema, resource.place, resource)
        if not fragment.startswith("/"):
            return resource.anchors.get(fragment) or resource.dynamic.get(fragment)
        value, place = resource.schema, resource.place
        for token in fragment[1:].split("/"):
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
            place = f"{place}/{escape(key)}"
            resource = self.nested.get(id(value), resource)
        return Target(value, place, resource)

    def _resource(self, uri: str) -> Resource | None:
        found = self._resources.get(uri)
        if found is None and uri in self._registry:
            found = self._add(self._registry[uri], uri, uri + "#")
        return found

    @staticmethod
    def _absolute(reference: str, base: str) -> str:
        return reference if urlsplit(reference).scheme else urljoin(base, reference)

    def _add(self, schema: object, uri: str, place: str) -> Resource:
        root = Resource(uri, schema, place, draft_of(schema))
        self._resources[uri] = root
        pending: list[tuple[object, str, Resource, int]] = [(schema, place, root, 0)]
        while pending:
            value, place, resource, depth = pending.pop()
            if not isinstance(value, dict):
                continue
            self._left -= 1
            if self._left < 0:
                raise GrammarLimit("json_schema: too many subschemas")
            if depth > self._max_depth:
                raise GrammarLimit(f"json_schema: schemas nested deeper than {self._max_depth}")
            resource = self._identify(value, place, resource, root)
            pending.extend((child, place + path, resource, depth + 1) for child, path in subschemas(value))
        return root

    def _identify(self, schema: dict[str, object], place: str, resource: Resource, root: Resource) -> Resource:
        """Reads a subschema's `$id` and anchors; gives the resource it belongs to."""
        if IDENTIFYING.isdisjoint(schema):
            return resource
        draft = resource.draft or 2020
        if "$ref" in schema and draft <= 7:
            return resource
        identity = schema.get("$id")
        if identity is None and (resource.draft is None or draft <= 4):
            identity = schema.get("id")
        if isinstance(identity, str):
            resource = self._begin(identity, Target(schema, place, resource), root)
        here = Target(schema, place, resource)
        for keyword, table in (("$anchor", resource.anchors), ("$dynamicAnchor", resource.dynamic)):
            name = schema.get(keyword)
            if isinstance(name, str):
                table[name] = here
        if schema.get("$recursiveAnchor") is True:
            resource.dynamic[""] = here
        return resource

    def _begin(self, identity: str, target: Target, root: Resource) -> Resource:
        schema, place, resource = target
        relative, _, fragment = identity.partition("#")
        if relative:
            uri = self._absolute(relative, resource.uri)
            if schema is root.schema:
                root.uri = uri
                resource = root
            else:
                resource = Resource(uri, schema, place, draft_of(schema) or resource.draft, home=root)
                self.nested[id(schema)] = resource
            self._resources.setdefault(uri, resource)
        if fragment:  # up to draft 7 an anchor was written as an id
            resource.anchors.setdefault(fragment, Target(schema, place, resource))
        return resource
