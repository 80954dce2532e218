from __future__ import annotations

import json
import random
from typing import Any, Literal

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import BaseModel

from grammars import (
    Grammar,
    GrammarLimit,
    InvalidSpec,
    JsonSchema,
    UnsupportedConstraint,
    Vocabulary,
    compile_spec,
    unpack,
)
from grammars.automaton import START
from grammars.regex import AutomatonGrammar
from grammars.spec import WHITESPACES, Whitespace


class Point(BaseModel):
    x: float
    y: int | None = None


class Record(BaseModel):
    name: str
    age: int
    kind: Literal["a", "b"]
    points: list[Point]
    counts: dict[str, int]
    active: bool
    best: Point
    note: str | None


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "role": {"enum": ["engineer", 'q"uote', None, 1.5, ["é", {"k": 1}]]},
        "skills": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "skills"],
    "additionalProperties": False,
}
EXACT: list[Any] = [
    PERSON,
    Record.model_json_schema(),
    {"type": "string", "minLength": 1, "maxLength": 3},
    {"type": "string", "pattern": '^[a-c"\\\\\\n]{1,4}$'},
    {"type": "string", "pattern": "ab|cd$"},
    {"type": "integer", "minimum": -17, "exclusiveMaximum": 205},
    {"type": "number", "minimum": -1.25, "exclusiveMaximum": 2},
    {"type": "number", "exclusiveMinimum": 0.5, "maximum": 1.5},
    {"type": ["null", "boolean", "integer"]},
    {"required": ["a"]},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "minItems": 3},
    {"allOf": [{"type": "integer", "minimum": 3}, {"minimum": 5, "maximum": 9}]},
    {"oneOf": [{"type": "null"}, {"type": "string", "format": "date"}]},
    {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "array", "items": {"$ref": "#/$defs/c"}}, "c": {"const": 1}}},
    {"type": "object", "properties": {'a.*"(é': {"type": "null"}}, "required": ['a.*"(é']},
    {},
]


def accepts(grammar: Grammar, text: str) -> bool:
    matcher = grammar.matcher()
    return all(matcher.accept(byte) for byte in text.encode()) and matcher.is_complete()


def distances(grammar: AutomatonGrammar) -> npt.NDArray[np.float64]:
    """Bytes from each state to the nearest end of a text."""
    table, final = grammar.automaton.table, grammar.automaton.final
    steps = np.where(final, 0.0, np.inf)
    while not np.array_equal(shorter := np.minimum(steps, 1 + steps[table].min(axis=1)), steps):
        steps = shorter
    return steps


def walk(grammar: Grammar, vocabulary: Vocabulary, seed: int) -> str:
    """A text of some random tokens, then of single bytes by the shortest way to an end."""
    assert isinstance(grammar, AutomatonGrammar)
    rng, matcher, text = random.Random(seed), grammar.matcher(), b""
    row = np.zeros(vocabulary.mask_words, np.int32)
    for _ in range(rng.choice([3, 15, 50])):
        matcher.mask_into(row)
        tokens = np.flatnonzero(unpack(row[None], len(vocabulary))[0]).tolist()
        token = rng.choice(tokens)
        assert matcher.accept(token)
        if token in vocabulary.end_tokens:
            return text.decode()
        text += vocabulary.tokens[token] or b""
    automaton, steps = grammar.automaton, distances(grammar)
    state = automaton.run(START, text)
    while not automaton.final[state]:
        byte = int(np.argmin(steps[automaton.table[state]]))
        text, state = text + bytes([byte]), automaton.table[state, byte]
    return text.decode()


@pytest.mark.parametrize("whitespace", WHITESPACES)
@pytest.mark.parametrize("schema", EXACT, ids=range(len(EXACT)))
def test_random_texts_are_valid_where_nothing_is_warned_of(
    schema: Any, whitespace: Whitespace, vocabulary: Vocabulary
) -> None:
    grammar = compile_spec(JsonSchema.of(schema, whitespace), vocabulary)
    assert grammar.warnings == ()
    for seed in range(6):
        text = walk(grammar, vocabulary, seed)
        jsonschema.validate(json.loads(text), schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (
            {"type": "string", "pattern": "^.{1,5}$"},
            ['"a\\"b"', '"é"'],
            ['"a"b"', '"\x00"', '"\\"', '"\n"', '"123456"', '""'],
        ),
        ({"type": "string", "minLength": 1, "maxLength": 3}, ['"ééé"', '"\x7f"', '"😀"'], ['"\x00"', '""', '"1234"']),
        ({"required": ["a"]}, ['{"a": 1}', '{"a": {"b": [1, null]}}'], ["{}", '{"b": 1}']),
        ({"type": "integer"}, ["0", "-12", "120"], ["01", "1.5", "--1", "+1", ""]),
        ({"type": "integer", "minimum": 8, "maximum": 1234}, ["8", "10", "999", "1234"], ["7", "1235", "-8", "08"]),
        ({"type": "integer", "exclusiveMaximum": -3}, ["-4", "-100"], ["-3", "0", "4"]),
        (
            {"type": "number", "minimum": 0.5, "maximum": 1.5},
            ["0.5", "1", "1.0", "1.5", "0.73"],
            ["2", "0.4999", "1.51", "-1"],
        ),
        ({"type": "number", "exclusiveMinimum": 0}, ["0.1", "7", "0.001"], ["0", "0.0", "-1"]),
        ({"enum": ["a", 1, None]}, ['"a"', "1", "null"], ["a", "11", '"1"']),
        ({"type": "string", "format": "date"}, ['"2024-02-29"', '"2023-12-31"'], ['"2023-02-29"', '"2024-04-31"']),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 2},
            ["[null, null]"],
            ["[]", "[null]", "[null,null]"],
        ),
        (
            {"properties": {"a": True, "b": True}},
            ["{}", '{"b": 1}', '{"a": 1, "b": 2}'],
            ['{"a": 1,"b": 2}', '{"a": 1, }'],
        ),
    ],
)
def test_chosen_texts(schema: Any, good: list[str], bad: list[str], vocabulary: Vocabulary) -> None:
    grammar = compile_spec(JsonSchema.of(schema), vocabulary)
    assert [text for text in good if not accepts(grammar, text)] == []
    assert [text for text in bad if accepts(grammar, text)] == []


def test_whitespace_goes_where_the_policy_says(vocabulary: Vocabulary) -> None:
    schema = {
        "properties": {"a": {"type": "array", "items": {"type": "null"}}, "b": {"const": {"k": [1, 2]}}},
        "required": ["a", "b"],
    }
    texts = {
        "fixed": '{"a": [null, null], "b": {"k": [1, 2]}}',
        "compact": '{"a":[null,null],"b":{"k":[1,2]}}',
        "flexible": ' {\n\t"a" : [ null , null ] ,"b":{"k": [1, 2]} }\r',
    }
    for whitespace in WHITESPACES:
        grammar = compile_spec(JsonSchema.of(schema, whitespace), vocabulary)
        assert accepts(grammar, texts[whitespace])
        if whitespace != "flexible":
            assert not any(accepts(grammar, text) for name, text in texts.items() if name != whitespace)
            assert not accepts(grammar, texts[whitespace].replace("[null", "[ null"))
    assert not accepts(grammar, " " * 9 + "{}")


@pytest.mark.parametrize(
    ("schema", "keywords"),
    [
        ({"type": "array", "uniqueItems": True}, ["uniqueItems at /"]),
        ({"properties": {"n": {"type": "integer", "multipleOf": 3}}}, ["multipleOf at /properties/n"]),
        ({"type": "string", "format": "hostname"}, ["format at /"]),
        ({"type": "object", "additionalProperties": True, "maxProperties": 2}, ["maxProperties at /"]),
        ({"type": "integer", "not": {"const": 3}}, ["not at /"]),
        (
            {"type": "object", "patternProperties": {"^a": {}}, "propertyNames": {}},
            ["patternProperties at /", "propertyNames at /"],
        ),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, ["oneOf at /"]),
        ({"if": {"type": "string"}, "then": {"minLength": 1}}, ["then at /"]),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "contains": {}}}}, ["contains at /$defs/a"]),
        ({"type": "string", "pattern": "a", "minLength": 3}, ["minLength at /"]),
    ],
)
def test_what_is_not_enforced_is_named(schema: Any, keywords: list[str], vocabulary: Vocabulary) -> None:
    warnings = compile_spec(JsonSchema.of(schema), vocabulary).warnings
    assert len(warnings) == len(keywords)
    assert all(warning.startswith(f"{keyword} is ") for warning, keyword in zip(warnings, keywords, strict=True))


@pytest.mark.parametrize(
    ("schema", "error", "message"),
    [
        ({"type": "foo"}, InvalidSpec, "type at /"),
        ({"properties": {"a": 3}}, InvalidSpec, "/properties/a"),
        ({"properties": []}, InvalidSpec, "properties at / is"),
        ({"minLength": -1}, InvalidSpec, "minLength"),
        ({"minimum": True}, InvalidSpec, "minimum"),
        ({"required": [1]}, InvalidSpec, "required"),
        ({"type": "string", "pattern": "("}, InvalidSpec, "regex"),
        ({"$ref": "#/$defs/none"}, InvalidSpec, "leads nowhere"),
        ({"anyOf": []}, InvalidSpec, "anyOf"),
        (False, UnsupportedConstraint, "false at /"),
        ({"$ref": "#"}, UnsupportedConstraint, "recursive"),
        ({"properties": {"a": {"$ref": "#"}}}, UnsupportedConstraint, "/properties/a"),
        ({"$ref": "http://other/schema"}, UnsupportedConstraint, "no pointer"),
        ({"type": "string", "pattern": "(?=a)"}, UnsupportedConstraint, "pattern at /"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, UnsupportedConstraint, "minimum at /"),
        ({"enum": [1], "type": "string"}, UnsupportedConstraint, "enum at /"),
        ({"required": ["a"], "additionalProperties": False}, UnsupportedConstraint, "required at /"),
        ({"type": "string", "minLength": 4, "maxLength": 3}, UnsupportedConstraint, "minLength"),
        ({"type": "string", "maxLength": 10**9}, GrammarLimit, "repetitions"),
        ({"type": "string", "maxLength": 60_000}, GrammarLimit, "character sets"),
        ({"anyOf": [{"const": n} for n in range(10_000)]}, GrammarLimit, "subschemas"),
        ({"enum": ["x" * 50] * 20_000}, GrammarLimit, "characters"),
    ],
)
def test_bad_schemas_are_refused_with_keyword_and_place(
    schema: Any, error: type[Exception], message: str, vocabulary: Vocabulary
) -> None:
    with pytest.raises(error, match=message.replace("(", "\\(")) as caught:
        compile_spec(JsonSchema.of(schema), vocabulary)
    assert "\n" not in str(caught.value)


@pytest.mark.corpus
def test_a_real_vocabulary_writes_valid_json(smollm2: Vocabulary) -> None:
    grammar = compile_spec(JsonSchema.of(PERSON), smollm2)
    for seed in range(4):
        jsonschema.validate(json.loads(walk(grammar, smollm2, seed)), PERSON)
