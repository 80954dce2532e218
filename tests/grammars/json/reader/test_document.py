"""Where references lead: pointers, anchors, ids, other documents."""

from __future__ import annotations

import pytest

from grammars.errors import InvalidSpec, UnsupportedConstraint
from grammars.json.reader.document import Library, Target

BASE = "https://example.org/base/main"


def library(schema: object, registry: dict[str, object] | None = None) -> Library:
    return Library(schema, registry, max_depth=20, max_schemas=1000)


def resolved(schema: object, reference: str, registry: dict[str, object] | None = None) -> Target:
    documents = library(schema, registry)
    return documents.resolve(reference, documents.main, "")


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("#", ""),
        ("", ""),
        ("#/properties/a~1b", "/properties/a~1b"),
        ("#/properties/a%7E1b", "/properties/a~1b"),
        ("#/properties/%25", "/properties/%"),
        ("#/allOf/1/items", "/allOf/1/items"),
        ("#/x-own/deep", "/x-own/deep"),
        ("#here", "/properties/%"),
    ],
)
def test_in_the_same_document(reference: str, place: str) -> None:
    schema = {
        "properties": {"a/b": {"type": "null"}, "%": {"$anchor": "here"}},
        "allOf": [{}, {"items": {"type": "string"}}],
        "x-own": {"deep": {"$anchor": "no-anchor"}},
    }
    assert resolved(schema, reference).place == place


@pytest.mark.parametrize("reference", ["#/allOf/2", "#/allOf/x", "#/allOf/-1", "#/title/0", "#no-anchor", "#/"])
def test_to_nothing(reference: str) -> None:
    schema = {"title": "T", "allOf": [{}, {}], "enum": [{"$anchor": "no-anchor"}]}
    with pytest.raises(InvalidSpec, match="points to nothing"):
        resolved(schema, reference)


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        (BASE, ""),
        ("main#/$defs/a", "/$defs/a"),
        ("other", "/$defs/a"),
        ("https://example.org/base/other#/$defs/b", "/$defs/a/$defs/b"),
        ("other#named", "/$defs/a/$defs/b"),
        ("/base/other", "/$defs/a"),
        ("urn:example:c", "/$defs/c"),
        ("urn:example:c#/items", "/$defs/c/items"),
    ],
)
def test_by_id(reference: str, place: str) -> None:
    schema = {
        "$id": BASE,
        "$defs": {
            "a": {"$id": "other", "$defs": {"b": {"$anchor": "named"}}},
            "c": {"$id": "urn:example:c", "items": {}},
        },
    }
    assert resolved(schema, reference).place == place


def test_pointers_begin_at_their_own_resource() -> None:
    inner = {"$id": "other", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {}}}
    documents = library({"$id": BASE, "properties": {"a": inner}, "$defs": {"x": {}, "y": {}}})
    own = documents.nested[id(inner)]
    assert documents.resolve("#/$defs/x", own, "").place == "/properties/a/$defs/x"
    assert documents.resolve("#/$defs/y", own, "").place == "/$defs/y"  # only the document's root has it


def test_ids_of_older_drafts() -> None:
    draft4 = "http://json-schema.org/draft-04/schema#"
    schema = {"$schema": draft4, "definitions": {"a": {"id": "#named"}, "b": {"id": "other.json"}}}
    assert resolved(schema, "#named").place == "/definitions/a"
    assert resolved(schema, "other.json").place == "/definitions/b"
    modern = {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    with pytest.raises(InvalidSpec):
        resolved(modern, "#named")


def test_other_documents() -> None:
    registry: dict[str, object] = {"https://example.org/x#": {"$defs": {"a": {"$anchor": "named"}}}}
    found = resolved({}, "https://example.org/x#named", registry)
    assert found.place == "https://example.org/x#/$defs/a"
    with pytest.raises(UnsupportedConstraint, match="registry"):
        resolved({}, "https://example.org/y", registry)
    with pytest.raises(UnsupportedConstraint, match="registry"):
        resolved({}, "definitions.json#/a", registry)
