from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grammars import Choice, Grammar, Matcher, Regex, Spec, UnsupportedConstraint, Vocabulary
from grammars.engines.automaton_grammar import AutomatonGrammar
from grammars.engines.outlines import OutlinesEngine, automaton_of
from grammars.engines.token_trie import TokenTrie
from grammars.regular.pattern import parse_pattern


def allowed(matcher: Matcher, vocabulary: Vocabulary) -> set[int]:
    row = np.full(vocabulary.mask_words, -1, np.int32)
    matcher.mask_into(row)
    return {token for token in range(vocabulary.mask_words * 32) if row[token // 32] >> (token % 32) & 1}


def prefixes(texts: set[bytes]) -> set[bytes]:
    return {text[:end] for text in texts for end in range(len(text) + 1)}


def walk(grammar: Grammar, vocabulary: Vocabulary, seed: int, hurry: int = 60) -> bytes:
    """A random text; after `hurry` tokens, one that ends as soon as it may and prefers short tokens."""
    rng, matcher, text = random.Random(seed), grammar.matcher(), b""
    for step in range(2000):
        tokens = sorted(allowed(matcher, vocabulary))
        assert tokens, f"nothing may follow {text!r}"
        if step > hurry and matcher.is_complete():
            return text
        token = rng.choice(tokens)
        assert matcher.accept(token)
        if token in vocabulary.end_tokens:
            return text
        text += vocabulary.tokens[token] or b""
    raise AssertionError("no end")


FINITE = {
    r"[0-9]{1,3}": "0123456789",
    "(a|é){1,4}": "aé",
    "a?b{0,2}1": "ab1",
    "(?i)ab|BA": "abAB",
    "😀{1,2}a|éb": "😀aéb",
    "(ab|aba)(ba|)": "ab",
    "true|null|": "trueln",
    "(?:é|a😀?){2}$": "éa😀",
}


@pytest.mark.parametrize("pattern", FINITE)
def test_masks_are_exactly_what_can_still_lead_to_a_match(pattern: str, vocabulary: Vocabulary) -> None:
    letters = sorted(set(FINITE[pattern]))
    words = {
        "".join(word)
        for size in range(6 if len(letters) < 6 else 5)
        for word in itertools.product(letters, repeat=size)
    }
    texts = {word.encode() for word in words if re.fullmatch(pattern, word, re.ASCII)}
    viable, grammar = prefixes(texts), OutlinesEngine(vocabulary).compile(Regex(pattern))
    for prefix in random.Random(1).sample(sorted(viable), min(25, len(viable))):
        matcher = grammar.matcher()
        assert all(matcher.accept(byte) for byte in prefix)
        expected = {
            token
            for token, text in enumerate(vocabulary.tokens)
            if text and token not in vocabulary.end_tokens and prefix + text in viable
        }
        assert allowed(matcher, vocabulary) == expected | (vocabulary.end_tokens if prefix in texts else set())
        assert matcher.is_complete() == (prefix in texts)
        assert matcher.is_exhausted() == (not any(prefix + bytes([byte]) in viable for byte in range(256)))


@pytest.mark.parametrize(
    "pattern", [".{1,5}", r"\w+@\w+\.(com|org)", "[^a]*b", "(é|😀|[^\\x00-\\x7f]){2,3}", r"-?\d+(\.\d+)?"]
)
def test_random_walks_end_in_full_matches(pattern: str, vocabulary: Vocabulary) -> None:
    grammar = OutlinesEngine(vocabulary).compile(Regex(pattern))
    for seed in range(15):
        text = walk(grammar, vocabulary, seed).decode()
        assert re.fullmatch(pattern, text, re.ASCII), text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abé😀", min_size=1, max_size=4), min_size=1, max_size=5), st.data())
def test_choices_allow_exactly_their_options(vocabulary: Vocabulary, options: list[str], data: st.DataObject) -> None:
    texts = {option.encode() for option in options}
    prefix = data.draw(st.sampled_from(sorted(prefixes(texts))))
    matcher = OutlinesEngine(vocabulary).compile(Choice(tuple(options))).matcher()
    assert all(matcher.accept(byte) for byte in prefix)
    found = {vocabulary.tokens[token] for token in allowed(matcher, vocabulary) - vocabulary.end_tokens}
    assert found == {text for text in vocabulary.tokens if text and prefix + text in prefixes(texts)}
    assert bool(vocabulary.end_tokens <= allowed(matcher, vocabulary)) == (prefix in texts)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 285), st.just("fork"), st.integers(-4, -1)), max_size=25), st.integers(0, 99))
def test_rollback_and_fork_equal_a_fresh_replay(vocabulary: Vocabulary, steps: list[int | str], seed: int) -> None:
    grammar = OutlinesEngine(vocabulary).compile(Regex("(?:ab|a|é|12|[b-d])*"))
    rng, matcher, path = random.Random(seed), grammar.matcher(), list[int]()
    for step in steps:
        if step == "fork":
            other = matcher.fork()
            assert matcher.accept(rng.choice(sorted(allowed(matcher, vocabulary))))
            matcher = other
        elif isinstance(step, int) and step < 0:
            back = min(-step, len(path))
            matcher.rollback(back)
            path = path[: len(path) - back]
        else:
            token = step if isinstance(step, int) and step % 2 else rng.choice(sorted(allowed(matcher, vocabulary)))
            if matcher.accept(token):
                path.append(token)
    fresh = grammar.matcher()
    assert all(fresh.accept(token) for token in path)
    assert allowed(matcher, vocabulary) == allowed(fresh, vocabulary)
    assert (matcher.is_complete(), matcher.is_exhausted()) == (fresh.is_complete(), fresh.is_exhausted())
    with pytest.raises(ValueError, match="num_tokens"):
        matcher.rollback(len(path) + 1)


def test_accept_agrees_with_the_mask(vocabulary: Vocabulary) -> None:
    matcher = OutlinesEngine(vocabulary).compile(Regex("(ab|é|1)+")).matcher()
    matcher.accept(ord("1"))
    accepted = {token for token in range(-1, len(vocabulary) + 40) if matcher.fork().accept(token)}
    assert accepted == allowed(matcher, vocabulary)


def test_end_tokens_end_and_nothing_follows_them(vocabulary: Vocabulary) -> None:
    matcher = OutlinesEngine(vocabulary).compile(Regex("a*")).matcher()
    end, other = sorted(vocabulary.end_tokens)
    assert matcher.is_complete()
    assert not matcher.is_exhausted()
    assert matcher.accept(end)
    assert matcher.is_exhausted()
    assert matcher.is_complete()
    assert not matcher.accept(ord("a"))
    assert allowed(matcher, vocabulary) == vocabulary.end_tokens
    assert matcher.accept(other)
    matcher.rollback(2)
    assert matcher.accept(ord("a"))
    assert matcher.forced() == []
    assert not OutlinesEngine(vocabulary).compile(Regex("ab")).matcher().accept(end)


def test_masks_beyond_the_budget_are_dropped_and_made_again(vocabulary: Vocabulary) -> None:
    automaton, trie = automaton_of(parse_pattern("[ab]{30}"), 100), TokenTrie(vocabulary)
    roomy = AutomatonGrammar(automaton, vocabulary, trie)
    tight = AutomatonGrammar(automaton, vocabulary, trie, mask_bytes=3 * 4 * vocabulary.mask_words)
    for state in [*range(1, 31), 1, 5]:
        assert np.array_equal(roomy.mask(state), tight.mask(state))
    assert len(tight._masks) == 3
    assert tight.num_bytes < roomy.num_bytes
    with pytest.raises(ValueError, match="read-only"):
        tight.mask(1)[0] = 1


def test_what_the_vocabulary_cannot_spell_is_never_begun() -> None:
    vocabulary = Vocabulary([b"a", b"b", b"c", b"cd", b"ad", None], [5])
    matcher = OutlinesEngine(vocabulary).compile(Regex("ab|cdx|a[ad]")).matcher()
    assert allowed(matcher, vocabulary) == {0, 5} - {5}
    assert matcher.accept(0)
    assert allowed(matcher, vocabulary) == {0, 1}
    spec: Spec
    for spec in (Regex("x+"), Choice(("xa", "ax"))):
        with pytest.raises(UnsupportedConstraint, match="cannot spell"):
            OutlinesEngine(vocabulary).compile(spec)


@pytest.mark.corpus
def test_a_real_vocabulary_walks_to_full_matches(smollm2: Vocabulary) -> None:
    pattern = "[A-Z][a-z]{2,8}, \\d{1,4}(é|😀)?"
    grammar = OutlinesEngine(smollm2).compile(Regex(pattern))
    for seed in range(5):
        assert re.fullmatch(pattern, walk(grammar, smollm2, seed).decode())
