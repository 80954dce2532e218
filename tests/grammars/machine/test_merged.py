"""Threads followed together against the same threads one by one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from grammars import JsonSchema, Matcher, Regex, Vocabulary, fill_masks, unpack
from grammars.machine.engine import MachineEngine
from grammars.machine.kernels import Kernels
from grammars.machine.matcher import MachineMatcher
from grammars.spec import Gbnf, Lark, Spec

Allowed = Callable[[Matcher], set[int]]
Walked = Callable[..., Iterator[MachineMatcher]]

SPECS: list[Spec] = [
    Regex("[a-e]{2,300}é?"),
    JsonSchema.of({}, "flexible"),
    JsonSchema.of({"type": "array", "uniqueItems": True}),
    JsonSchema.of({"type": "array", "uniqueItems": True, "items": {"type": "string"}}),
    JsonSchema.of({"anyOf": [{"items": {"type": "string"}}, {"items": {"maxLength": 3}}, {"required": ["ab"]}]}),
    JsonSchema.of({"type": "object", "minProperties": 2, "maxProperties": 3, "properties": {"a": {}}}),
    JsonSchema.of({"type": "string", "maxLength": 7}),
    Gbnf('root ::= "a" root "ba" | [^a] "b"* | "12" root'),
    Gbnf('root ::= root root | "ab" | "a" | "b"'),
    Lark('start: e\ne: e "+" e | "(" e ")" | /[ab]+/ | "12"'),
    Lark('start: s\ns: "a" s | "a" s "b" s | "ba" | '),
]
AMBIGUOUS = {
    "s s": ('s: s s | "a"', "a" * 200),
    "s s or nothing": ('s: s s | "a" |', "a" * 100),
    "sums": ('s: s "+" s | s "12" s | "(" s ")" | "a"', "a+a12(a+a)12" * 8 + "a"),
    "hidden": ('s: b s "x" | "a"\nb: "b"?', "b" * 60 + "a" + "x" * 60),
    "dangling": ('s: "i" s | "i" s "e" s | "x"', "i" * 60 + "x" + "ex" * 40),
    "juxtaposed": ('s: s s | "(" s ")" | "a"', "a(aa(a))" * 25),
}


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("is_plain", [False, True])
def test_masks_and_threads_are_the_same(
    spec: Spec,
    is_plain: bool,
    engine: MachineEngine,
    plain: Kernels,
    allowed: Allowed,
    walked: Walked,
) -> None:
    if is_plain:
        engine = MachineEngine(engine.vocabulary, kernels=plain)
    rng = random.Random(str(spec))
    grammar = engine.compile(spec)
    usual = grammar.machine.many_threads
    for _ in range(2 if is_plain else 5):
        for matcher in walked(grammar, rng, 8):
            if matcher.is_exhausted():
                break
            token = rng.choice(sorted(allowed(matcher)))
            found = []
            for many in (usual, -1):
                grammar.machine.many_threads = many
                other = matcher.fork()
                assert other.accept(token)
                found.append((allowed(matcher), sorted(map(tuple, other.threads.tolist()))))
            grammar.machine.many_threads = usual
            assert found[0] == found[1]


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_rules_are_followed_through_long_texts(name: str, engine: MachineEngine, allowed: Allowed) -> None:
    rules, text = AMBIGUOUS[name]
    matcher = engine.compile(Lark(f"start: s\n{rules}")).matcher()
    for byte in text.encode():
        assert byte in allowed(matcher)
        assert matcher.accept(byte)
    assert matcher.is_complete()
    assert set(matcher.machine.tables.vocabulary.end_tokens) <= allowed(matcher)
    assert ord("?") not in allowed(matcher)


def test_a_batch_has_the_same_masks(engine: MachineEngine) -> None:
    few, many = (engine.compile(Gbnf('root ::= root root | "a" | "ab"')).matcher() for _ in range(2))
    assert few.read(b"aa") == 2
    assert many.read(b"a" * 40) == 40
    out = np.zeros((2, engine.tables.num_words), np.int32)
    fill_masks([many, few], out)
    for row, matcher in zip(out, (many, few), strict=True):
        alone = np.zeros(engine.tables.num_words, np.int32)
        matcher.mask_into(alone)
        assert row.tolist() == alone.tolist()


def test_ways_that_multiply_within_a_token_end_soon(smollm2: Vocabulary) -> None:
    """Followed one by one they were not through after minutes."""
    engine = MachineEngine(smollm2)
    matcher = engine.compile(Lark("start: s\ns: s s | /[a-z]/")).matcher()
    row = np.zeros(engine.tables.num_words, np.int32)
    begin = time.thread_time()
    for _ in range(3):
        matcher.mask_into(row)
        assert matcher.accept(smollm2.tokens.index(b"a"))
    assert time.thread_time() - begin < 6
    allowed = unpack(row[None], len(smollm2))[0]
    assert allowed[smollm2.tokens.index(b"what")]
    assert not allowed[smollm2.tokens.index(b"What")]
