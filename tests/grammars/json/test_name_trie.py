from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars import JsonSchema, Matcher, Vocabulary, unpack
from grammars.json.forms import KeyClasses
from grammars.json.name_trie import ANY_NAME, FIRST_NAME, NameLabels
from grammars.machine.engine import MachineEngine
from grammars.machine.matcher import MachineMatcher
from grammars.regular.language import Languages

FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = ["a", "ab", "aba", "Ab", "b", "12", "é", "éa", "", 'q"', "\\", "\n", "\x1f", "x/y", "null"]
PATTERNS = ["^a", "b$", "^[a-z]+$", "^[a-zé]{2}$", "^(ab|x.*)$", "^.{1,2}$", "é", "^[^a]*$", "^A", "^(aba|abab|12)$"]
VALUES: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "null"}, [None]), ({"type": "boolean"}, [True]), ({"const": 1}, [1]), ({"const": "s"}, ["s"]),
    ({"maximum": 0}, [0, None]), ({"type": "array"}, [[]]),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine(vocabulary: Vocabulary) -> MachineEngine:
    return MachineEngine(vocabulary)


@pytest.fixture(scope="module")
def allowed(vocabulary: Vocabulary) -> Callable[[Matcher], set[int]]:
    def found(matcher: Matcher) -> set[int]:
        row = np.full(vocabulary.mask_words, -1, np.int32)
        matcher.mask_into(row)
        return set(np.flatnonzero(unpack(row[None], len(vocabulary))[0]).tolist())

    return found


def check(matcher: MachineMatcher, allowed: Callable[[Matcher], set[int]]) -> set[int]:
    """The mask, which is what is accepted, and not empty."""
    mask = allowed(matcher)
    assert mask == {token for token in range(matcher.machine.tables.num_words * 32) if matcher.fork().accept(token)}
    assert mask, "a dead end"
    return mask


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    which = st.sampled_from([schema for schema, _ in VALUES])
    return {
        "type": "object",
        "properties": draw(st.dictionaries(st.sampled_from(NAMES), which, max_size=4)),
        "patternProperties": draw(st.dictionaries(st.sampled_from(PATTERNS), which, max_size=3)),
        "additionalProperties": draw(st.just(False) | which),
    }


@FUZZ
@given(schema=schemas(), data=st.data())
def test_names_are_told_apart_as_validators_do(
    schema: dict[str, Any], data: st.DataObject, engine: MachineEngine
) -> None:
    grammar = engine.compile(JsonSchema.of(schema, key_order="any"))
    names = st.sampled_from([*NAMES, "x", "xy", "abc", "zz", "é1", "A"])
    samples = st.sampled_from([value for _, values in VALUES for value in values])
    for _ in range(8):
        value = data.draw(st.dictionaries(names, samples, max_size=3))
        matcher, text = grammar.matcher(), json.dumps(value, ensure_ascii=False).encode()
        read = matcher.read(text) == len(text) and matcher.is_complete()
        assert read == jsonschema.Draft202012Validator(schema).is_valid(value), text


@FUZZ
@given(schema=schemas(), seed=st.integers(0, 99))
def test_masks_within_names_are_what_is_accepted_and_never_empty(
    schema: dict[str, Any], seed: int, engine: MachineEngine, allowed: Callable[[Matcher], set[int]]
) -> None:
    matcher, rng = engine.compile(JsonSchema.of(schema, key_order="any")).matcher(), random.Random(seed)
    ends = engine.vocabulary.end_tokens
    assert matcher.read(b"{") == 1
    for _ in range(10):
        mask = sorted(check(matcher, allowed) - ends)
        if not mask:
            break
        letters = [token for token in mask if (engine.tables.texts[token] or b" ")[0] in b'abAx12"\\']
        assert matcher.accept(rng.choice(letters or mask))


DEAD_ENDS: list[tuple[dict[str, Any], str]] = [
    ({"properties": {"ab": {}}, "patternProperties": {"^(ab|x.*)$": {}}}, '{"ab": null, "'),
    ({"properties": {"a1": {}, "a2": {}}, "patternProperties": {"^(a[12]|b[a-z]*)$": {}}}, '{"a1": 1, "a2": 2, "'),
    ({"properties": {"Abc": {}, "abc": {}}, "patternProperties": {"^[a-z]": {}}}, '{"'),
    ({"properties": {"Abc": {}, "abc": {}}, "patternProperties": {"^[a-z]": {}}}, '{"Abc": null, "'),
    ({"properties": {"A": {}, "abab": {}, "éa": {}}, "patternProperties": {"^[a-z]{2}$": {}, "^[0-9]": {}}}, '{"'),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(DEAD_ENDS)))
def test_declared_names_beside_classes(
    case: int, engine: MachineEngine, allowed: Callable[[Matcher], set[int]]
) -> None:
    """All short beginnings of names are walked: each has the right mask and some way on."""
    schema, text = DEAD_ENDS[case]
    spec = JsonSchema.of({**schema, "type": "object", "additionalProperties": False}, key_order="any")
    start = engine.compile(spec).matcher()
    assert start.read(text.encode()) == len(text)

    def follow(matcher: MachineMatcher, depth: int) -> None:
        mask = check(matcher, allowed)
        for token in sorted(mask & set(b'abAx12"')) if depth else []:
            further = matcher.fork()
            assert further.accept(token)
            follow(further, depth - 1)

    follow(start, 3)


def test_a_name_is_spelled_one_way_only(engine: MachineEngine) -> None:
    """Else a declared name could come as an undeclared one."""
    schema = {"type": "object", "properties": {"\x1f": {"type": "null"}, "a": {"type": "null"}, "/": {"type": "null"}}}
    for whitespace in ("fixed", "flexible"):
        grammar = engine.compile(JsonSchema.of(schema, whitespace))  # type: ignore[arg-type]
        for name in (rb"\u001f", rb"\u001F", b"a", rb"\u0061", b"/", rb"\/"):
            matcher, text = grammar.matcher(), b'{"' + name + b'": 5}'
            assert matcher.read(text) < len(text) or not matcher.is_complete(), name
            if name in (rb"\u001f", b"a", b"/"):
                assert grammar.matcher().read(text.replace(b"5", b"null")) == len(text) + 3


@pytest.mark.parametrize("count", [1, 300])
def test_every_name_of_many_is_there_once(count: int, engine: MachineEngine) -> None:
    names = [f"{'ab' * (number % 3)}{number}é" for number in range(count)]
    schema = {"type": "object", "properties": {name: {"type": "null"} for name in names}, "additionalProperties": False}
    matcher = engine.compile(JsonSchema.of(schema, "compact", key_order="any")).matcher()
    random.Random(1).shuffle(names)
    for number, name in enumerate(names):
        text = f'{"," if number else "{"}"{name}":null'.encode()
        assert matcher.read(text) == len(text)
        again = f',"{name}":'.encode()
        assert matcher.fork().read(again) < len(again)
    assert matcher.read(b"}") == 1
    assert matcher.is_exhausted()


def labels_of(names: list[str], languages: Languages, open_ended: bool) -> Iterator[NameLabels]:
    classes = (languages.everything,) if open_ended else (languages.literal("x"), languages.literal("y"))
    yield NameLabels(KeyClasses(tuple(names), classes), languages.everything)


@pytest.mark.parametrize("open_ended", [True, False])
def test_labels_go_by_bytes_and_come_back(open_ended: bool) -> None:
    names = ["b", "é", "a", "aa", 'a"', "Z", "\n"]
    (labels,) = labels_of(names, Languages(), open_ended)
    assert labels.texts == sorted(json.dumps(name, ensure_ascii=False).encode()[1:] for name in names)
    for rank, text in enumerate(labels.texts):
        assert json.loads(b'"' + text) == names[labels.original(FIRST_NAME + rank)]
    assert [labels.original(label) for label in labels.class_labels] == [7 + j for j in range(1 if open_ended else 2)]
    assert labels.has_any == open_ended == (labels.class_labels == [ANY_NAME])
    assert labels.count == 1 + max([*labels.class_labels, FIRST_NAME + len(names) - 1])
