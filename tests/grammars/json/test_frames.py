from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any, get_args

import pytest

from grammars import Grammar, GrammarCompiler, InvalidSpec, JsonSchema
from grammars.spec import Whitespace

Accepts = Callable[[Grammar, str | bytes], bool]
Walk = Callable[[Grammar, random.Random], str]

VALUE = {"a": [1, {"b": []}], "c": {}, "d": "x", "e": [[True], [None, -1.5e3]]}
SEPARATORS = {"fixed": (", ", ": "), "compact": (",", ":")}


def compiled(compiler: GrammarCompiler, schema: Any, **policies: Any) -> Grammar:
    return compiler.compile(JsonSchema.of(schema, **policies))


@pytest.mark.parametrize("whitespace", get_args(Whitespace))
def test_separators_are_those_of_the_policy(
    whitespace: Whitespace, compiler: GrammarCompiler, accepts: Accepts
) -> None:
    grammar = compiled(compiler, {}, whitespace=whitespace)
    for name, separators in SEPARATORS.items():
        text = json.dumps(VALUE, separators=separators)
        assert accepts(grammar, text) == (whitespace in (name, "flexible")), text
    assert accepts(grammar, json.dumps(VALUE, indent=2)) == (whitespace == "flexible")


PLACES = ['{"a"', ":", "1", ",", '"b"', ":", "[", "2", ",", "[", "]", "]", ",", '"c"', ":", "{", "}", "}"]


@pytest.mark.parametrize("place", range(1, len(PLACES)))
def test_up_to_eight_spaces_may_stand_between_any_two_tokens(
    place: int, compiler: GrammarCompiler, accepts: Accepts
) -> None:
    for schema in ({}, {"properties": {"a": {"type": "integer"}, "b": {"items": {"type": ["integer", "array"]}}}}):
        grammar = compiled(compiler, schema, whitespace="flexible")
        for count in (0, 1, 7, 8, 9):
            for space in ("\n", " ", "\t", "\r"):
                text = "".join(PLACES[:place]) + space * count + "".join(PLACES[place:])
                assert accepts(grammar, text) == (count <= 8), text
        assert accepts(grammar, "".join(PLACES[:place]) + " \n\t\r" + "".join(PLACES[place:]))
        assert not accepts(grammar, "".join(PLACES[:place]) + "\x0b" + "".join(PLACES[place:]))


def test_order_of_names(compiler: GrammarCompiler, accepts: Accepts) -> None:
    schema = {"properties": {name: {"type": "integer"} for name in "abc"}, "required": ["b"], "type": "object"}
    in_order, in_any = (compiled(compiler, schema, key_order=order) for order in ("schema", "any"))
    for count in range(4):
        for names in itertools.permutations("abcx", count):
            text = json.dumps(dict.fromkeys(names, 1))
            assert accepts(in_any, text) == ("b" in names), text
            assert accepts(in_order, text) == ("b" in names and list(names) == sorted(names)), text
    for text in ('{"b": 1, "b": 2}', '{"a": 1, "b": 1, "a": 1}', '{"b": 1, }', '{, "b": 1}', '{"b" 1}', '{"b": 1'):
        assert not accepts(in_order, text)
        assert not accepts(in_any, text)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "array", "minItems": 1, "maxItems": 3}, ["[1]", "[1, 2, 3]"], ["[]", "[1, 2, 3, 4]", "[1 ]"]),
        ({"type": "array", "maxItems": 0}, ["[]"], ["[1]", "["]),
        ({"prefixItems": [{"const": 1}, {"const": "b"}], "items": False}, ["[]", "[1]", '[1, "b"]'], ["[2]", "[1, 2]"]),
        ({"anyOf": [{"items": {"type": "integer"}}, {"items": {"type": "string"}}], "type": "array"},
         ["[]", "[1, 2]", '["a", "b"]'], ['[1, "a"]', '["a", 1]']),
        ({"contains": {"const": 3}, "type": "array"}, ["[3]", "[1, 3, 2]", "[[], 3]"], ["[]", "[1, 2]"]),
        ({"const": {"a": [1, None], "b": "é\n"}}, ['{"a": [1, null], "b": "é\\n"}'], ['{"a": [1, null]}']),
        ({"enum": [1, 12, 123, -1]}, ["1", "12", "123", "-1", "12.0"], ["2", "1234", "-", "01", "-12"]),
        ({"type": "integer", "minimum": 5}, ["5", "12", "100"], ["4", "-5", "5.5", ""]),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"},
          "v": {"type": "integer"}}, "required": ["v"], "additionalProperties": False}}},
         ['{"v": 1}', '{"l": {"l": {"v": 3}, "v": 2}, "v": 1}'], ['{"l": {}, "v": 1}', '{"l": {"v": 1}}', "{}"]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ['"ab"', '"é😀a"', '"\\n\\n"'], ['"a"', '"abcd"']),
        (True, ["null", "true", "false", "0", '""', "[]", "{}", "-0.5E+9"], ["nul", "True", "+1", ".5", "'a'", "[1,]"]),
    ],
)  # fmt: skip
def test_documents(schema: Any, good: list[str], bad: list[str], compiler: GrammarCompiler, accepts: Accepts) -> None:
    grammar = compiled(compiler, schema, key_order="any")
    assert [text for text in good if not accepts(grammar, text)] == []
    assert [text for text in bad if accepts(grammar, text)] == []


def test_depth_has_no_end_of_its_own(compiler: GrammarCompiler, accepts: Accepts) -> None:
    grammar = compiled(compiler, {}, whitespace="compact")
    assert accepts(grammar, "[" * 400 + "]" * 400)
    assert accepts(grammar, '{"a":' * 200 + "1" + "}" * 200)
    assert not accepts(grammar, "[" * 400 + "]" * 399)
    assert not accepts(grammar, "[" * 40 + "]" * 41)


def test_what_nothing_satisfies_is_an_error_or_empty(compiler: GrammarCompiler) -> None:
    schema = {"type": "object", "properties": {"a": False}, "required": ["a"]}
    with pytest.raises(InvalidSpec, match="no value satisfies it"):
        compiled(compiler, schema)
    matcher = compiled(compiler, schema, unsatisfiable="empty").matcher()
    assert not any(matcher.accept(token) for token in range(len(compiler.vocabulary)))
    assert not matcher.is_complete()


@pytest.mark.parametrize("seed", range(6))
def test_random_texts_of_any_document_are_json(seed: int, compiler: GrammarCompiler, walk: Walk) -> None:
    for whitespace in get_args(Whitespace):
        json.loads(walk(compiled(compiler, {}, whitespace=whitespace), random.Random(seed)))
