from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from grammars import JsonSchema, Matcher, Regex, Vocabulary
from grammars.machine.engine import MachineEngine
from grammars.machine.matcher import MachineMatcher
from grammars.spec import Gbnf, Lark, Sequence, Spec, SpecialToken

Allowed = Callable[[Matcher], set[int]]
Walked = Callable[..., Iterator[MachineMatcher]]

FUZZ = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OPEN = {"type": "object", "properties": {"ab": {"type": "integer"}, "éa": {"type": ["string", "null"]}}}
SPECS: list[Spec] = [
    Regex("(?:ab|aba|é)*(?:12|[^b]{0,3})"),
    Regex("[a-e]{2,300}é?"),
    JsonSchema.of(OPEN),
    JsonSchema.of(OPEN, "flexible", key_order="any"),
    JsonSchema.of({"type": "array", "uniqueItems": True, "items": {"enum": ["ab", 12, [True], None]}}, "flexible"),
    JsonSchema.of({"type": "object", "minProperties": 2, "additionalProperties": {"type": "boolean"}}, "compact"),
    Gbnf('root ::= "a" root "ba" | [^a] "b"* | "12" root'),
    Lark("start: (WORD | NUMBER)+\nWORD: /[ab]+/\nNUMBER: /[0-9]+(é|b)?/"),
]


@st.composite
def patterns(draw: st.DrawFn, depth: int = 2) -> str:
    if depth == 0:
        return draw(st.sampled_from(["a", "b", "ab", "[a-c]", "[^a]", "é", "1", ".", "[a-z0-9é]", "\\d", "😀"]))
    inner = patterns(depth - 1)
    shape = draw(st.sampled_from(["{}{}", "({}|{})", "({}){{0,2}}{}", "({})*{}", "({})?{}", "({}){{2,}}{}"]))
    return shape.format(draw(inner), draw(inner))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A small context-free grammar, ambiguous more often than not."""
    symbols = st.sampled_from(['"a"', '"b"', '"ab"', "[a-z]", "[^a]*", "root", "x", '"é"', '"12"?', "(x | root)?"])
    ways = st.lists(st.lists(symbols, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=3).map(" | ".join)
    return f'root ::= "1" | "a" ({draw(ways)})\nx ::= "b" | ({draw(ways)}) "a"'


def check(matcher: MachineMatcher, allowed: Allowed, accepted: Allowed) -> None:
    """All that a matcher says of itself, by trying every token."""
    mask, ends = allowed(matcher), matcher.machine.tables.vocabulary.end_tokens
    assert mask == accepted(matcher)
    assert bool(mask & ends) == matcher.is_complete()
    assert not mask & ends or ends <= mask
    assert matcher.is_exhausted() == (matcher.is_complete() and not mask - ends)
    by_byte = {
        token
        for token, text in enumerate(matcher.machine.tables.texts)
        if text and matcher.fork().read(text) == len(text)
    }
    assert mask - ends == by_byte - ends


@FUZZ
@given(pattern=patterns(), seed=st.integers(0, 99))
def test_masks_of_regexes(
    pattern: str, seed: int, engine: MachineEngine, allowed: Allowed, accepted: Allowed, walked: Walked
) -> None:
    for matcher in walked(engine.compile(Regex(pattern)), random.Random(seed), 4):
        check(matcher, allowed, accepted)


@FUZZ
@given(text=rules(), seed=st.integers(0, 99))
def test_masks_of_rules(
    text: str, seed: int, engine: MachineEngine, allowed: Allowed, accepted: Allowed, walked: Walked
) -> None:
    for matcher in walked(engine.compile(Gbnf(text)), random.Random(seed), 4):
        check(matcher, allowed, accepted)


@pytest.mark.parametrize("spec", SPECS, ids=range(len(SPECS)))
def test_masks_along_random_texts(
    spec: Spec, engine: MachineEngine, allowed: Allowed, accepted: Allowed, walked: Walked
) -> None:
    grammar = engine.compile(spec)
    for seed in range(2):
        for matcher in walked(grammar, random.Random(seed), 12):
            check(matcher, allowed, accepted)


class Ways(RuleBasedStateMachine):
    """Several matchers of one grammar, each compared with a fresh one that has read the same tokens."""

    engine: MachineEngine
    allowed: Allowed

    @initialize(number=st.integers(0, len(SPECS) - 1))
    def begin(self, number: int) -> None:
        self.grammar = self.engine.compile(SPECS[number])
        self.ways: list[tuple[MachineMatcher, list[int]]] = [(self.grammar.matcher(), [])]

    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        matcher, path = data.draw(st.sampled_from(self.ways))
        mask = self.allowed(matcher)
        token = data.draw(st.sampled_from(sorted(mask))) if mask else 0
        assert matcher.accept(token) == bool(mask)
        path += [token] if mask else []

    @rule(data=st.data(), token=st.integers(-2, 300))
    def try_any(self, data: st.DataObject, token: int) -> None:
        matcher, path = data.draw(st.sampled_from(self.ways))
        is_allowed = token in self.allowed(matcher)
        assert matcher.accept(token) == is_allowed
        path += [token] if is_allowed else []

    @rule(data=st.data(), back=st.integers(0, 5))
    def rollback(self, data: st.DataObject, back: int) -> None:
        matcher, path = data.draw(st.sampled_from(self.ways))
        if back > len(path):
            with pytest.raises(ValueError, match=f"num_tokens: {back} is not in 0..{len(path)}"):
                matcher.rollback(back)
        else:
            matcher.rollback(back)
            del path[len(path) - back :]

    @precondition(lambda self: len(self.ways) < 4)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        matcher, path = data.draw(st.sampled_from(self.ways))
        self.ways.append((matcher.fork(), path.copy()))

    @invariant()
    def is_as_if_read_afresh(self) -> None:
        for matcher, path in self.ways:
            fresh = self.grammar.matcher()
            assert all(fresh.accept(token) for token in path)
            assert matcher.threads.tolist() == fresh.threads.tolist()
            assert self.allowed(matcher) == self.allowed(fresh)
            assert matcher.is_complete() == fresh.is_complete()
            assert matcher.is_exhausted() == fresh.is_exhausted()


def test_whatever_is_done_to_them_matchers_are_as_if_they_had_read_afresh(
    engine: MachineEngine, allowed: Allowed
) -> None:
    class These(Ways):
        pass

    These.engine, These.allowed = engine, staticmethod(allowed)  # type: ignore[assignment]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        These, settings=settings(FUZZ, max_examples=15, stateful_step_count=15)
    )


def test_nothing_but_the_end_follows_an_end_token(engine: MachineEngine, allowed: Allowed, accepted: Allowed) -> None:
    matcher = engine.compile(Regex("a*")).matcher()
    end = max(engine.vocabulary.end_tokens)
    assert matcher.accept(end)
    assert (matcher.is_complete(), matcher.is_exhausted(), matcher.read(b"a")) == (True, True, 0)
    assert allowed(matcher) == accepted(matcher) <= engine.vocabulary.end_tokens
    assert not matcher.accept(ord("a"))
    matcher.rollback(2)
    assert matcher.accept(ord("a"))
    assert not engine.compile(Regex("ab")).matcher().accept(end)


def test_bytes_are_read_as_far_as_they_are_allowed(engine: MachineEngine) -> None:
    matcher = engine.compile(Regex("abc(?:é|1)")).matcher()
    assert matcher.read(b"abd") == 2
    assert matcher.read(b"c\xc3x") == 2
    assert matcher.read(b"\xa9more") == 1
    assert matcher.is_exhausted()
    matcher.rollback(2)
    assert matcher.read(b"c1") == 2
    matcher.rollback(2)
    assert matcher.read(b"abc") == 3


def test_special_tokens_come_where_they_are_asked_for_and_are_no_text(
    vocabulary: Vocabulary, engine: MachineEngine, allowed: Allowed, accepted: Allowed
) -> None:
    special, end = len(vocabulary) - 3, len(vocabulary) - 1
    named = Vocabulary(vocabulary.tokens, vocabulary.end_tokens, special={"<|x|>": special, "<|end|>": end})
    own = MachineEngine(named, kernels=engine.tables.kernels)
    matcher = own.compile(Sequence(("a", SpecialToken("<|x|>"), Regex("b?"), SpecialToken("<|end|>"), "1"))).matcher()
    assert not matcher.accept(special)
    assert matcher.accept(ord("a"))
    assert allowed(matcher) == accepted(matcher) == {special}
    assert matcher.accept(special)
    assert allowed(matcher) == accepted(matcher) == {ord("b"), end}
    assert matcher.accept(end)
    assert not matcher.is_exhausted()
    assert allowed(matcher) == {ord("1")}
    assert special not in allowed(own.compile(JsonSchema.of({})).matcher())
    assert special not in allowed(own.compile(Regex("(?s:.*)")).matcher())
