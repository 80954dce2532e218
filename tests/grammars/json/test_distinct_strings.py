from __future__ import annotations

import json
import random
from itertools import product
from typing import Any

import numpy as np
import pytest

from grammars import JsonSchema, Matcher, Vocabulary, unpack
from grammars.json.forms import ShapeLimits
from grammars.json.node import Nodes
from grammars.json.schema import SchemaGraph
from grammars.json.shapes import Shapes
from grammars.machine.engine import MachineEngine
from grammars.machine.kernels import plain_kernels
from grammars.machine.matcher import MachineMatcher
from grammars.regular.language import Languages

FREE = {"type": "array", "items": {"type": "string", "pattern": "^a"}}
STRINGS = {"type": "array", "uniqueItems": True, "items": {"type": "string"}}
SCHEMAS: dict[str, dict[str, Any]] = {
    "strings": STRINGS,
    "not empty": {**STRINGS, "items": {"type": "string", "minLength": 1}},
    "two to three": {**STRINGS, "minItems": 2, "maxItems": 3},
    "by pattern": {**STRINGS, "items": {"type": "string", "pattern": '^[ab1é"\\\\\\n😀]*$'}},
    "by a pattern that ends": {**STRINGS, "items": {"type": "string", "pattern": "^(a|b+|é)$"}},
    "bounded": {**STRINGS, "items": {"type": "string", "maxLength": 2}},
    "within": {"type": "array", "items": STRINGS},
    "or numbers": {"anyOf": [STRINGS, {"type": "array", "items": {"type": ["string", "number"]}, "maxItems": 2}]},
    "two readings": {
        "anyOf": [STRINGS, {**STRINGS, "items": {"type": "string", "pattern": "^a"}, "uniqueItems": False}]
    },
}
ITEMS = ['""', '"a"', '"\\u0061"', '"\\u00E9"', '"é"', '"ab"', '"a\\nb"', '"\\"\\\\"', '"\\ud83d\\ude00"', '"😀"']
ACROSS = [
    '", "',
    '","',
    '", ""',
    '","","',
    '", "a"',
    '", "a", "',
    '"a", "a"',
    '"]',
    '"],',
    "\\u00",
    "\\u0061",
    '\\u00e9"',
]


@pytest.fixture(scope="module")
def across() -> Vocabulary:
    """Every byte, and tokens that hold ends and whole items."""
    tokens: list[bytes | None] = [*(bytes([byte]) for byte in range(256)), b"a\xc3", b'\xa9"']
    tokens += [text.encode() for text in (*ACROSS, *ITEMS)]
    return Vocabulary([*tokens, None], [len(tokens)])


@pytest.fixture(scope="module", params=["compiled", "plain"])
def distinct(request: pytest.FixtureRequest, across: Vocabulary) -> MachineEngine:
    return MachineEngine(across, kernels=plain_kernels() if request.param == "plain" else None)


def allowed(matcher: Matcher, vocabulary: Vocabulary) -> set[int]:
    row = np.zeros(vocabulary.mask_words, np.int32)
    matcher.mask_into(row)
    return set(np.flatnonzero(unpack(row[None], len(vocabulary))[0]).tolist())


def accepted(matcher: MachineMatcher, vocabulary: Vocabulary) -> set[int]:
    return {token for token in range(len(vocabulary)) if matcher.fork().accept(token)}


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("whitespace", ["fixed", "compact", "flexible"])
def test_masks_are_what_is_accepted(name: str, whitespace: Any, distinct: MachineEngine) -> None:
    grammar = distinct.compile(JsonSchema.of(SCHEMAS[name], whitespace))
    rng = random.Random(name + whitespace)
    for _ in range(6):
        matcher = grammar.matcher()
        for _ in range(14):
            mask = allowed(matcher, distinct.vocabulary)
            assert mask == accepted(matcher, distinct.vocabulary), matcher._text()
            assert mask, f"nothing goes on behind {matcher._text()!r}"
            likely = [token for token in mask if token > 255 or token in b'"[], ab\\u0061e9']
            assert matcher.accept(rng.choice(likely or sorted(mask)))
            if not matcher.threads.size:
                break


@pytest.mark.parametrize("name", ["strings", "not empty", "by pattern", "two to three"])
def test_strings_are_compared_by_value_however_they_are_spelled(name: str, distinct: MachineEngine) -> None:
    grammar = distinct.compile(JsonSchema.of(SCHEMAS[name], "flexible"))
    for items in product(ITEMS, repeat=2):
        text = f"[{', '.join(items)}]"
        right = len({json.loads(item) for item in items}) == 2 and not (name == "not empty" and '""' in items)
        matcher = grammar.matcher()
        assert (matcher.read(text.encode()) == len(text.encode()) and matcher.is_complete()) == right, text


def test_the_quote_that_would_end_an_item_again_is_refused(distinct: MachineEngine) -> None:
    matcher = distinct.compile(JsonSchema.of(STRINGS)).matcher()
    assert matcher.read(b'["ab", "ab') == 10
    mask = allowed(matcher, distinct.vocabulary)
    assert ord('"') not in mask
    assert ord("c") in mask


def test_more_items_than_other_arrays_may_have(distinct: MachineEngine) -> None:
    """And what another item takes in the tables does not depend on how many there are."""
    if not distinct.tables.kernels.is_compiled:
        pytest.skip("slow without the kernels")
    grammar = distinct.compile(JsonSchema.of(STRINGS))
    matcher, sizes = grammar.matcher(), []
    assert matcher.read(b"[") == 1
    row = np.zeros(distinct.vocabulary.mask_words, np.int32)
    for index in range(600):
        item = f'{", " if index else ""}"{index}"'.encode()
        assert matcher.read(item) == len(item)
        matcher.mask_into(row)
        sizes.append(grammar.num_bytes)
    assert matcher.read(b"]") == 1
    assert sizes[599] - sizes[300] < 2 * (sizes[300] - sizes[0])
    assert sizes[599] < 12 * 2**20


def test_an_array_that_ends_for_want_of_room_says_so(caplog: pytest.LogCaptureFixture) -> None:
    languages = Languages()
    nodes = Nodes()
    graph = SchemaGraph({"type": "array", "uniqueItems": True, "items": {"type": "integer"}}, languages, nodes)
    shapes = Shapes(languages, nodes, limits=ShapeLimits(distinct_items=3))
    (state,) = shapes.forms(graph.root).arrays
    for item in range(3):
        ((after, _),) = state.next()
        (state,) = after.with_item(item)
        assert not caplog.records
    assert state.can_close
    assert not state.can_continue()
    assert "uniqueItems: an array ends at 3 items" in caplog.text
