"""Random schemas: what is drawn from a grammar is valid, what is valid is accepted, and masks are what is accepted."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grammars import Grammar, GrammarCompiler, InvalidSpec, JsonSchema, Matcher, Regex, Vocabulary, unpack
from grammars.engines.base import Engine
from grammars.engines.registry import engine_named
from grammars.sample import sample_text
from grammars.spec import Whitespace

Accepts = Callable[[Grammar, str | bytes], bool]
Walk = Callable[[Grammar, random.Random], str]
Schema = bool | dict[str, Any]

NAMES = ["a", "b", "ab", "é"]
TEXTS = ["", "a", "ab", "aab", "é", 'a"b', "b\n", "2024-02-29"]
PATTERNS = ["^a", "b$", "^[ab]*$", "é", "^.{1,2}$", "^(?!ab)", "a+b|é"]
NUMBERS = [0, 1, -1, 2, 3, 5, 10, 0.5, 1.5, -2.5]
SHALLOW: list[Schema] = [True, {}, {"type": "integer"}, {"const": "a"}, {"type": "null"}, False]
LEAVES = [None, True, False, *NUMBERS, *TEXTS]
SEPARATORS = {"fixed": (", ", ": "), "compact": (",", ":"), "flexible": (" ,\n", " : ")}
FUZZ = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
FEWER = settings(FUZZ, max_examples=50)
values = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
counts = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Schema]) -> dict[str, st.SearchStrategy[Any]]:
    """Every keyword that is fuzzed, with what it may be."""
    named = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    of_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
    return {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(values, min_size=1, max_size=4),
        "const": values,
        "minimum": st.sampled_from(NUMBERS),
        "maximum": st.sampled_from(NUMBERS),
        "exclusiveMinimum": st.sampled_from(NUMBERS),
        "exclusiveMaximum": st.sampled_from(NUMBERS),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 1.5, 0.1]),
        "minLength": counts,
        "maxLength": counts,
        "pattern": st.sampled_from(PATTERNS),
        "items": inner,
        "prefixItems": several,
        "minItems": counts,
        "maxItems": counts,
        "uniqueItems": st.just(True),
        "contains": inner,
        "minContains": counts,
        "maxContains": counts,
        "unevaluatedItems": inner,
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(PATTERNS), inner, min_size=1, max_size=2),
        "additionalProperties": inner,
        "required": of_names,
        "minProperties": counts,
        "maxProperties": counts,
        "propertyNames": inner,
        "dependentRequired": st.dictionaries(st.sampled_from(NAMES), of_names, min_size=1, max_size=2),
        "dependentSchemas": named,
        "unevaluatedProperties": inner,
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "$ref": st.just("#/$defs/d"),
    }


@st.composite
def subschemas(draw: st.DrawFn, depth: int) -> Schema:
    if depth == 0:
        return draw(st.sampled_from(SHALLOW))
    of = keywords(subschemas(depth - 1))
    chosen = draw(st.lists(st.sampled_from(sorted(of)), min_size=1, max_size=3, unique=True))
    return {keyword: draw(of[keyword]) for keyword in chosen}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A schema whose references lead to a definition, which may refer to itself below a property or an item."""
    schema = draw(subschemas(2))
    assert isinstance(schema, dict)
    below = draw(st.sampled_from(["properties", "items", "none"]))
    again = {"$ref": "#/$defs/d"}
    own = {"properties": {"a": again}, "items": again, "none": {"type": ["string", "null"]}}[below]
    return schema | {"$defs": {"d": own if below == "none" else {below: own, "type": ["object", "array", "null"]}}}


def is_integer(_: Any, value: Any) -> bool:
    whole = isinstance(value, int) or (isinstance(value, Decimal) and value == value.to_integral_value())
    return whole and not isinstance(value, bool)


Exact: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer),
)


def valid(schema: Schema, text: str) -> bool:
    """Whether a JSON text is valid by decimal arithmetic, in which 0.3 is a multiple of 0.1."""
    exact = json.loads(json.dumps(schema), parse_float=Decimal)
    with localcontext(prec=300):
        return bool(Exact(exact).is_valid(json.loads(text, parse_float=Decimal)))


def compiled(schema: Schema, compiler: GrammarCompiler, whitespace: Whitespace = "fixed") -> Grammar:
    return compiler.compile(JsonSchema.of(schema, whitespace, key_order="any", unsatisfiable="empty"))


def allowed(matcher: Matcher, vocabulary: Vocabulary) -> set[int]:
    row = np.full(vocabulary.mask_words, -1, np.int32)
    matcher.mask_into(row)
    return set(np.flatnonzero(unpack(row[None], len(vocabulary))[0]).tolist())


@FUZZ
@given(schema=schemas(), seed=st.integers(0, 99), whitespace=st.sampled_from(sorted(SEPARATORS)))
def test_what_is_drawn_is_valid(
    schema: Schema, seed: int, whitespace: Whitespace, compiler: GrammarCompiler, walk: Walk
) -> None:
    try:
        grammar = compiler.compile(JsonSchema.of(schema, whitespace))
    except InvalidSpec:
        return  # nothing satisfies it, which the next test looks into
    assert grammar.warnings == ()
    text = walk(grammar, random.Random(seed))
    assert valid(schema, text), text


@FUZZ
@given(
    schema=schemas(),
    some=st.lists(values, min_size=5, max_size=12),
    whitespace=st.sampled_from(sorted(SEPARATORS)),
)
def test_a_value_is_accepted_exactly_if_it_is_valid(
    schema: Schema, some: list[Any], whitespace: Whitespace, compiler: GrammarCompiler, accepts: Accepts
) -> None:
    grammar = compiled(schema, compiler, whitespace)
    for value in some:
        text = json.dumps(value, ensure_ascii=False, separators=SEPARATORS[whitespace])
        assert accepts(grammar, text) == valid(schema, text), text


@FEWER
@given(schema=schemas(), seed=st.integers(0, 99))
def test_masks_are_what_is_accepted(
    schema: Schema, seed: int, vocabulary: Vocabulary, compiler: GrammarCompiler
) -> None:
    matcher, rng = compiled(schema, compiler).matcher(), random.Random(seed)
    for step in range(12):
        mask = allowed(matcher, vocabulary)
        assert mask == {token for token in range(len(vocabulary)) if matcher.fork().accept(token)}
        spelled = {token for token, text in enumerate(vocabulary.tokens) if text and readable(matcher, text)}
        assert mask - vocabulary.end_tokens == spelled - vocabulary.end_tokens
        assert bool(mask & vocabulary.end_tokens) == matcher.is_complete()
        assert mask or step == 0, "a dead end"
        going_on = sorted(mask - vocabulary.end_tokens)
        assert matcher.is_exhausted() == (not going_on) or not mask
        if not going_on:
            break
        assert matcher.accept(rng.choice(going_on))


def readable(matcher: Matcher, text: bytes) -> bool:
    """Whether the bytes of a token are accepted one at a time."""
    follower = matcher.fork()
    return all(follower.accept(byte) for byte in text)


@FEWER
@given(schema=schemas(), seed=st.integers(0, 99))
def test_rollback_and_fork_change_nothing_else(
    schema: Schema, seed: int, vocabulary: Vocabulary, compiler: GrammarCompiler
) -> None:
    grammar, rng = compiled(schema, compiler), random.Random(seed)
    matcher, path = grammar.matcher(), list[int]()
    for _ in range(15):
        choices = sorted(allowed(matcher, vocabulary) - vocabulary.end_tokens)
        if not choices:
            break
        if rng.random() < 0.3:
            back = rng.randint(0, len(path))
            matcher.rollback(back)
            path = path[: len(path) - back]
        elif rng.random() < 0.3:
            other = matcher.fork()
            assert matcher.accept(rng.choice(choices))
            matcher = other
        else:
            path.append(rng.choice(choices))
            assert matcher.accept(path[-1])
    fresh = grammar.matcher()
    assert all(fresh.accept(token) for token in path)
    assert allowed(matcher, vocabulary) == allowed(fresh, vocabulary)


@st.composite
def patterns(draw: st.DrawFn, depth: int = 2) -> str:
    """Regexes that every engine reads alike, without escapes."""
    if depth == 0:
        return draw(st.sampled_from(["a", "b", "ab", "[a-c]", "[^a]", "é", "1", "."]))
    inner = patterns(depth - 1)
    shape = draw(st.sampled_from(["{}{}", "({}|{})", "({}){{0,2}}{}", "({})*{}", "({})?{}", "({}){{2,}}{}"]))
    return shape.format(draw(inner), draw(inner))


@pytest.fixture(scope="session")
def peers(vocabulary: Vocabulary) -> dict[str, Engine]:
    return {name: engine_named(name)(vocabulary) for name in ("outlines", "llguidance")}


@FUZZ
@given(pattern=patterns(), seed=st.integers(0, 99))
def test_masks_of_regexes_agree_with_other_engines(
    pattern: str, seed: int, vocabulary: Vocabulary, compiler: GrammarCompiler, peers: dict[str, Engine]
) -> None:
    matchers = {name: engine.compile(Regex(pattern)).matcher() for name, engine in peers.items()}
    ours, rng = compiler.compile(Regex(pattern)).matcher(), random.Random(seed)
    for _ in range(10):
        mask = allowed(ours, vocabulary)
        assert allowed(matchers["outlines"], vocabulary) == mask
        theirs = allowed(matchers["llguidance"], vocabulary)
        assert theirs == mask or (len(theirs) == 1 and theirs < mask)  # a forced text, of which it takes one spelling
        if not mask - vocabulary.end_tokens:
            break
        token = rng.choice(sorted(mask - vocabulary.end_tokens))
        assert ours.accept(token)
        assert all(matcher.accept(token) for matcher in matchers.values())


@FEWER
@given(schema=schemas(), seed=st.integers(0, 99))
def test_what_llguidance_draws_is_accepted(
    schema: Schema, seed: int, compiler: GrammarCompiler, peers: dict[str, Engine], accepts: Accepts
) -> None:
    try:
        theirs = peers["llguidance"].compile(JsonSchema.of(schema))
    except Exception:  # what it refuses, and why, is its own affair
        assume(False)
    drawn = sample_text(theirs.matcher(), compiler.vocabulary, random.Random(seed), hurry=10, most=150)
    assume(drawn is not None)
    text = (drawn or b"").decode()
    # Of numbers with an exponent, or with more digits than can be meant, only some spellings are accepted here.
    assume(valid(schema, text) and not re.search(r"\d[eE]|\d{17}", text))
    assert accepts(compiled(schema, compiler, "flexible"), text)  # which takes every spelling of a character
