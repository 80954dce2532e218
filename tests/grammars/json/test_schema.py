"""What is wrong with a schema comes up when it is read, with keyword and place; and in time, however large it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from grammars.deadline import Deadline
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.json.node import (
    FALSE,
    TRUE,
    All,
    IsType,
    MultipleOf,
    Node,
    Nodes,
    StringIn,
    StringLength,
    WrittenWhole,
)
from grammars.json.node import Any as AnyOf
from grammars.json.schema import GraphLimits, SchemaGraph
from grammars.regular.language import Languages


def read(schema: object, **options: Any) -> SchemaGraph:
    return SchemaGraph(schema, Languages(), Nodes(), **options)


def parts_of(node: Node) -> Iterator[Node]:
    yield node
    for item in node.items if isinstance(node, All | AnyOf) else ():
        yield from parts_of(item)


WRONG: list[tuple[object, str]] = [
    ({"minimum": "3"}, r'minimum at /: "3" is not a number'),
    ({"properties": {"a": {"required": True}}}, r"required at /properties/a: true is not a list of names"),
    ({"properties": []}, r"properties at /: \[\] is not an object"),
    ({"properties": {"a": 3}}, r"json_schema at /properties/a: 3 is no schema"),
    ({"items": [{"type": "text"}]}, r'type at /items/0: "text" is not one of null, boolean'),
    ({"type": {"a": 1}}, r"type at /: .* is not a type or a list of types"),
    ({"minLength": -1}, r"minLength at /: -1 is not a whole number"),
    ({"minLength": 1.5}, r"minLength at /: 1.5 is not a whole number"),
    ({"maxItems": True}, r"maxItems at /: true is not a number"),
    ({"maximum": None}, r"maximum at /: null is not a number"),
    ({"maximum": float("nan")}, r"maximum at /: NaN is not a number"),
    ({"multipleOf": 0}, r"multipleOf at /: 0 is not a number greater than 0"),
    ({"enum": "a"}, r'enum at /: "a" is not a list'),
    ({"const": float("inf")}, r"json_schema: inf is no JSON number"),
    ({"anyOf": {"type": "null"}}, r"anyOf at /: .* is not a list"),
    ({"uniqueItems": "yes"}, r'uniqueItems at /: "yes" is not true or false'),
    ({"pattern": 3}, r"pattern at /: 3 is not a string"),
    ({"pattern": "("}, r"pattern at /pattern: "),
    ({"patternProperties": {"a/(": True}}, r"pattern at /patternProperties/a~1\(: "),
    ({"dependentRequired": {"a": "b"}}, r'dependentRequired at /: "b" is not a list of names'),
    ({"$ref": 3}, r"\$ref at /: 3 is not a string"),
    ({"$ref": "#/$defs/a"}, r"\$ref at /: '#/\$defs/a' points to nothing"),
    ({"$ref": "#a"}, r"\$ref at /: '#a' points to nothing"),
    ({"items": [True], "prefixItems": [True]}, r"items at /: \[true\] is not a schema, as it must be"),
    (3, r"json_schema at /: 3 is no schema"),
]


@pytest.mark.parametrize(("schema", "message"), WRONG)
def test_wrong_values_name_keyword_and_place(schema: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        read(schema)
    assert "\n" not in str(caught.value)


def test_a_pattern_that_is_not_regular_is_refused() -> None:
    with pytest.raises(UnsupportedConstraint) as caught:
        read({"properties": {"a": {"pattern": r"(a)\1"}}})
    assert caught.value.keyword == "pattern"
    assert caught.value.path == "/properties/a/pattern"


def test_wrong_values_where_nothing_leads_are_no_harm() -> None:
    schema = {"definitions": {"old": {"required": True}}, "x-extra": {"minimum": "3"}, "default": {"type": 7}}
    assert read(schema).root is TRUE


def test_booleans() -> None:
    assert read(True).root is TRUE
    assert read({}).root is TRUE
    assert read(False).root is FALSE


def test_whole_numbers_may_be_written_with_a_point() -> None:
    languages, nodes = Languages(), Nodes()
    graph = SchemaGraph({"minLength": 2.0, "maxLength": 10**9}, languages, nodes)
    assert graph.root is nodes.make(StringLength, 2, 10**9)


@pytest.mark.parametrize(("mark", "spelled"), [("draft-03", True), ("draft-04", True), ("draft-07", False)])
def test_up_to_draft_4_an_integer_is_written_without_a_point(mark: str, spelled: bool) -> None:
    draft: dict[str, object] = {"$schema": f"http://json-schema.org/{mark}/schema#"}
    old: list[dict[str, object]] = [{"type": "integer"}, {"type": "number", "not": {"type": "integer"}}]
    for negated, schema in enumerate(old):
        nodes = Nodes()
        root = SchemaGraph({**draft, **schema}, Languages(), nodes).root
        parts = set(parts_of(root))
        assert (nodes.make(WrittenWhole, bool(negated)) in parts) == spelled
        assert (nodes.make(MultipleOf, Decimal(1), bool(negated)) in parts) != spelled


@pytest.mark.parametrize("name", ["byte", "base64", "binary", "int32"])
def test_formats_about_encodings_and_numbers_are_annotations(name: str) -> None:
    graph = read({"format": name})
    assert graph.root is TRUE
    assert graph.warnings == []


def test_siblings_of_a_reference_count_since_2019() -> None:
    schema = {"$ref": "#/definitions/a", "type": "string", "definitions": {"a": {}}}
    assert isinstance(read(schema).root, IsType)
    old = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    assert read(old).root is TRUE


def test_nullable_is_for_documents_of_no_draft() -> None:
    schema = {"type": "string", "nullable": True}
    assert read(schema).root.types == {"string", "null"}  # type: ignore[union-attr]
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    assert read(draft).root.types == {"string"}  # type: ignore[union-attr]


def test_formats_restrict_or_annotate() -> None:
    assert isinstance(read({"format": "date"}).root, StringIn)
    assert read({"format": "date"}, formats="annotate").root is TRUE
    with pytest.raises(InvalidSpec, match="formats: 'maybe' is not one of assert, annotate"):
        read({}, formats="maybe")


def test_unknown_formats_say_nothing_and_a_misspelt_one_is_named() -> None:
    graph = read({"items": [{"format": "phone"}, {"format": "dateTime"}]})
    assert graph.root is TRUE
    assert graph.warnings == ["format at /items/1: 'dateTime' restricts nothing; 'date-time' would"]


def test_the_negation_of_a_format_that_is_known_in_part_is_named() -> None:
    assert read({"format": "hostname"}).warnings == []
    warning = "format at /not: what is no 'hostname' here may be an unusual one"
    assert read({"not": {"format": "hostname"}}).warnings == [warning]


def test_keywords_of_draft_3_are_named() -> None:
    graph = read({"not": {"items": {"divisibleBy": 2}}})
    assert graph.root is FALSE
    assert graph.warnings == ["divisibleBy at /not/items: a keyword of draft 3, which restricts nothing"]


def nested(depth: int, keyword: str) -> object:
    schema: object = True
    for _ in range(depth):
        schema = {keyword: [schema]} if keyword == "allOf" else {keyword: {"a": schema}}
    return schema


@pytest.mark.parametrize("keyword", ["properties", "allOf"])
def test_depth_ends_in_a_limit(keyword: str) -> None:
    assert read(nested(100, keyword)).warnings == []
    with pytest.raises(GrammarLimit, match="deeper than 128"):
        read(nested(5000, keyword))


def test_a_long_chain_of_references_ends_in_a_limit() -> None:
    chain: dict[str, object] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5000)}
    with pytest.raises(GrammarLimit):
        read({"$ref": "#/$defs/d0", "$defs": {**chain, "d5000": {}}})
    links: dict[str, object] = {f"d{n}": {"properties": {"a": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(5000)}
    assert read({"$ref": "#/$defs/d0", "$defs": {**links, "d5000": {}}}).warnings == []


def test_a_deep_constant_ends_in_a_limit() -> None:
    value: object = 1
    for _ in range(500):
        value = [value]
    with pytest.raises(GrammarLimit, match="constant nested deeper"):
        read({"const": value})


def test_limits() -> None:
    many = {"properties": {str(n): {"type": "null"} for n in range(100)}}
    with pytest.raises(GrammarLimit, match="too many subschemas"):
        read(many, limits=GraphLimits(schemas=50))
    with pytest.raises(GrammarLimit, match="too many constraints"):
        read(many, limits=GraphLimits(items=50))
    with pytest.raises(ValueError, match="depth: 0 is not"):
        GraphLimits(depth=0)


def test_the_deadline_of_the_arena_holds() -> None:
    with pytest.raises(GrammarLimit, match="time limit"):
        SchemaGraph({"type": "null"}, Languages(deadline=Deadline(-1)), Nodes())


WIDE = {
    "anyOf": {"anyOf": [{"type": "object", "required": [f"n{n}"]} for n in range(10_000)]},
    "constants": {"oneOf": [{"const": f"n{n}", "title": "N"} for n in range(10_000)]},
    "tagged": {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": f"k{n}"}, "x": {"minimum": n}}, "required": ["kind"]}
            for n in range(3_000)
        ]
    },
    "enum": {"enum": [*range(10_000), *(f"n{n}" for n in range(10_000))]},
    "unclear": {"oneOf": [{"required": [f"n{n}"]} for n in range(5_000)]},
    "not": {"not": {"anyOf": [{"required": [f"n{n}"]} for n in range(10_000)]}},
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_schemas_end_soon(name: str) -> None:
    start = time.process_time()
    if name == "unclear":  # no two of them exclude each other, so each would have to name all others
        with pytest.raises(GrammarLimit):
            read(WIDE[name])
    else:
        read(WIDE[name])
    assert time.process_time() - start < 5
