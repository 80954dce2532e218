"""Cases every engine must get right, from `cases.jsonl`; what other engines do wrong is noted there under `others`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from grammars import Grammar, GrammarCompiler, InvalidSpec, JsonSchema
from grammars.spec import Whitespace

Accepts = Callable[[Grammar, str | bytes], bool]


class Case(NamedTuple):
    """A schema, texts it accepts and texts it refuses; in `key_order="any"`, the policy that validators have."""

    name: str
    schema: Any
    good: list[str]
    bad: list[str]
    others: str = ""


CASES = [Case(**json.loads(line)) for line in (Path(__file__).parent / "cases.jsonl").read_text("utf-8").splitlines()]
GOOD = [pytest.param(case.schema, text, id=f"{case.name}: {text!r}") for case in CASES for text in case.good]
BAD = [pytest.param(case.schema, text, id=f"{case.name}: {text!r}") for case in CASES for text in case.bad]
CHECKED = [case for case in CASES if '"format"' not in json.dumps(case.schema)]


@pytest.mark.parametrize(("schema", "text"), GOOD)
def test_accepted(schema: Any, text: str, compiler: GrammarCompiler, accepts: Accepts) -> None:
    assert accepts(compiler.compile(JsonSchema.of(schema, key_order="any")), text)


@pytest.mark.parametrize(("schema", "text"), BAD)
def test_refused(schema: Any, text: str, compiler: GrammarCompiler, accepts: Accepts) -> None:
    assert not accepts(compiler.compile(JsonSchema.of(schema, key_order="any")), text)


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_the_cases_themselves_agree_with_a_validator(case: Case) -> None:
    """So that a mistake in the table is not taken for one in the engine. Duplicates and raw controls are no JSON."""
    validator = jsonschema.Draft202012Validator(case.schema)
    assert [text for text in case.good if not validator.is_valid(json.loads(text))] == []
    for text in case.bad:
        try:
            value = json.loads(text, object_pairs_hook=distinct)
        except ValueError:
            continue
        assert not validator.is_valid(value), text


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_is_relaxed(case: Case, compiler: GrammarCompiler) -> None:
    warnings = compiler.compile(JsonSchema.of(case.schema, key_order="any")).warnings
    assert warnings == () or "of-mine" in warnings[0]


@pytest.mark.parametrize("content", [b"\xff", b"\xc3", b"\x80", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_strings_are_utf8(content: bytes, compiler: GrammarCompiler, accepts: Accepts) -> None:
    for schema in ({"type": "string"}, {"pattern": "^.{0,5}$"}, {"maxLength": 4}):
        assert not accepts(compiler.compile(JsonSchema.of(schema)), b'"' + content + b'"')


def test_schema_order_is_the_default(compiler: GrammarCompiler, accepts: Accepts) -> None:
    properties = {"a": {"type": "integer"}, "b": {"type": "integer"}}
    grammar = compiler.compile(JsonSchema.of({"type": "object", "properties": properties, "required": ["b"]}))
    assert accepts(grammar, '{"a": 1, "b": 2}')
    assert accepts(grammar, '{"b": 2}')
    assert accepts(grammar, '{"b": 2, "z": 0}')
    assert not accepts(grammar, '{"b": 2, "a": 1}')
    assert not accepts(grammar, '{"a": 1}')
    assert not accepts(grammar, '{"z": 0, "b": 2}')


def test_escaped_spellings_of_an_enum_are_accepted_where_whitespace_is_flexible(
    compiler: GrammarCompiler, accepts: Accepts
) -> None:
    expected: dict[Whitespace, list[str]] = {"fixed": ['"é"'], "flexible": ['"é"', '"\\u00e9"', '"\\u00E9"']}
    for whitespace, spellings in expected.items():
        grammar = compiler.compile(JsonSchema.of({"enum": ["é", "a"]}, whitespace))
        assert [text for text in ('"é"', '"\\u00e9"', '"\\u00E9"') if accepts(grammar, text)] == spellings
        assert not accepts(grammar, '"\\u00e8"')


def test_formats_are_annotations_where_asked_for(compiler: GrammarCompiler, accepts: Accepts) -> None:
    schema = {"type": "string", "format": "date"}
    assert not accepts(compiler.compile(JsonSchema.of(schema)), '"x"')
    assert accepts(compiler.compile(JsonSchema.of(schema, formats="annotate")), '"x"')


@pytest.mark.parametrize(
    "schema", [False, {"type": "string", "minLength": 3, "maxLength": 2}, {"allOf": [{"const": 1}, {"const": 2}]}]
)
def test_what_nothing_satisfies_is_an_error_unless_asked_for(schema: Any, compiler: GrammarCompiler) -> None:
    with pytest.raises(InvalidSpec):
        compiler.compile(JsonSchema.of(schema))
    matcher = compiler.compile(JsonSchema.of(schema, unsatisfiable="empty")).matcher()
    assert not matcher.is_complete()
    assert not any(matcher.accept(token) for token in range(len(compiler.vocabulary)))
