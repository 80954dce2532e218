from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars import JsonSchema, Matcher, Regex
from grammars.machine.engine import MachineEngine
from grammars.machine.matcher import MachineMatcher
from grammars.spec import Sequence, Whitespace

Allowed = Callable[[Matcher], set[int]]
Walked = Callable[..., Iterator[MachineMatcher]]

FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SEPARATORS = {"fixed": (", ", ": "), "compact": (",", ":"), "flexible": (" , \n", "  : ")}
UNIQUE = {"type": "array", "uniqueItems": True}
SCHEMAS: dict[str, dict[str, Any]] = {
    "distinct": UNIQUE,
    "distinct numbers": {**UNIQUE, "items": {"type": "number"}},
    "distinct few": {**UNIQUE, "items": {"enum": [1, "1", [1], {"a": 1}, None]}, "minItems": 2},
    "distinct within": {"type": "array", "items": UNIQUE},
    "some equal": {"type": "array", "not": {"uniqueItems": True}},
    "distinct or of strings": {"anyOf": [UNIQUE, {"items": {"type": "string"}}], "type": "array"},
    "two names": {"type": "object", "minProperties": 2},
    "two names, one declared": {"type": "object", "minProperties": 2, "maxProperties": 3, "properties": {"a": {}}},
    "names by pattern": {"type": "object", "patternProperties": {"^[ab]": {"type": "integer"}}, "minProperties": 2},
    "distinct below names": {"type": "object", "additionalProperties": UNIQUE, "minProperties": 1},
}
atoms = st.sampled_from([1, 1.0, 2, 12, -0.5, True, False, None, "", "1", "a,b", "]", '"', "\\", "é", "a\nb"])
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "c]", '"']), inner, max_size=2)
    ),
    max_leaves=3,
)
documents = st.lists(values, max_size=4) | st.lists(st.lists(values, max_size=3), max_size=2)
names = st.sampled_from(["a", "b", "c", "ab", '"', ","])
objects = st.dictionaries(names, values | st.lists(atoms, max_size=3), max_size=3)


def accepts(matcher: MachineMatcher, text: str) -> bool:
    return matcher.read(text.encode()) == len(text.encode()) and matcher.is_complete()


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("whitespace", get_args(Whitespace))
@FUZZ
@given(some=st.lists(documents | objects, min_size=4, max_size=8))
def test_a_document_is_accepted_exactly_if_it_is_valid(
    name: str, whitespace: Whitespace, some: list[Any], engine: MachineEngine
) -> None:
    schema = SCHEMAS[name]
    grammar = engine.compile(JsonSchema.of(schema, whitespace, key_order="any"))
    for value in some:
        text = json.dumps(value, ensure_ascii=False, separators=SEPARATORS[whitespace])
        assert accepts(grammar.matcher(), text) == jsonschema.Draft202012Validator(schema).is_valid(value), text


@pytest.mark.parametrize("whitespace", get_args(Whitespace))
def test_a_name_that_counts_comes_once(whitespace: Whitespace, engine: MachineEngine) -> None:
    grammar = engine.compile(JsonSchema.of({"type": "object", "minProperties": 2}, whitespace))
    comma, colon = SEPARATORS[whitespace]
    for names, right in ((["a", "b"], True), (["a", "a"], False), (["a", "a", "b"], False), (["a"], False)):
        text = "{" + comma.join(f'"{name}"{colon}1' for name in names) + "}"
        assert accepts(grammar.matcher(), text) == right, text


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("whitespace", ["fixed", "flexible"])
def test_masks_are_what_is_accepted(
    name: str, whitespace: Whitespace, engine: MachineEngine, allowed: Allowed, accepted: Allowed, walked: Walked
) -> None:
    """Also of tokens that end an item and go on behind it."""
    grammar = engine.compile(JsonSchema.of(SCHEMAS[name], whitespace, key_order="any"))
    for text in (
        "[1, 12",
        '["1", 1',
        '["ab',
        "[[1], [12",
        '{"a": 1, "b": 12',
        '{"é": [12',
        '{"a": "',
        "[null, [",
        "[tru",
    ):
        matcher = grammar.matcher()
        if matcher.read(text.encode()) == len(text.encode()):
            assert allowed(matcher) == accepted(matcher), text
            for further in walked_on(matcher, allowed, random.Random(text)):
                assert allowed(further) == accepted(further), text


def walked_on(matcher: MachineMatcher, allowed: Allowed, rng: random.Random) -> Iterator[MachineMatcher]:
    for _ in range(3):
        mask = sorted(allowed(matcher))
        if not mask or not matcher.accept(rng.choice(mask)):
            return
        yield matcher


def test_texts_that_forked_have_items_of_their_own(engine: MachineEngine) -> None:
    matcher = engine.compile(JsonSchema.of(UNIQUE)).matcher()
    assert matcher.read(b"[1, ") == 4
    other = matcher.fork()
    assert matcher.read(b"2, ") == other.read(b"3, ") == 3
    assert matcher.fork().read(b"2]") == 1
    assert other.fork().read(b"3]") == 1
    assert accepts(matcher.fork(), "3]")
    assert accepts(other.fork(), "2]")
    matcher.rollback(1)
    assert accepts(matcher, "2]")


def test_documents_that_begin_at_different_places_are_told_apart(engine: MachineEngine) -> None:
    """One reading is inside a string where another one has just had an item."""
    schema = JsonSchema.of({**UNIQUE, "items": {"type": ["integer", "string"]}})
    grammar = engine.compile(Sequence((Regex('[\\["]*'), schema)))
    for text, right in (('["[1, 2]', True), ('["[1, 1]', False), ('["[1, ", 1, 2]', True), ('["[1, ", 1, 1]', False)):
        assert accepts(grammar.matcher(), text) == right, text
