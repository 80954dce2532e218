from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grammars import JsonSchema, Regex, Vocabulary, unpack
from grammars.machine.engine import MachineEngine
from grammars.machine.forced import certain_tokens
from grammars.machine.matcher import MachineMatcher
from grammars.spec import Sequence, Spec, SpecialToken

Encode = Callable[[str], list[int]]

MERGES = ["ab", "abc", "ca", "cab", "bcab", "aa", "aaaa", "é", "éa", '"a', '{"', '{"a', '": ', '":', ", ", '", "', '",']
MERGES += [' "', "ru", "tr", "true", "ul", "ull", "null", ": ", "12", "123", '"]', '"}', "e}", "tr" + "u", "de", "cde"]
WORDS = [
    Regex("(?:abcab|abcd)e*"),
    Regex("aaaa?a?[ab]"),
    Regex("(?:ab){3}c(?:a|é|ab)"),
    Regex("éaéa(?:b|c)*"),
    Regex("abcdeabcde(?:12|13)"),
    JsonSchema.of({"type": "object", "properties": {"a": {"type": "boolean"}, "abc": {"enum": ["abcab", "abcde"]}},
                   "required": ["a", "abc"], "additionalProperties": False}),
    JsonSchema.of({"type": "array", "items": {"enum": ["abc1", "abc2", "abc3"]}, "uniqueItems": True, "minItems": 1}),
    JsonSchema.of({"type": "object", "properties": {"aé": {"const": None}, "aéa": {"const": [True, 123]}},
                   "required": ["aé", "aéa"], "additionalProperties": False}, "compact"),
]  # fmt: skip


def byte_pairs(tokens: list[bytes | None]) -> Encode:
    """Byte-pair encoding without a pretokenizer: the pair that makes the lowest token is joined first."""
    ranks = {text: token for token, text in reversed(list(enumerate(tokens))) if text}

    def encode(text: str) -> list[int]:
        parts = [bytes([byte]) for byte in text.encode()]
        while True:
            pairs = [(ranks[a + b], at) for at, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
            if not pairs:
                return [ranks[part] for part in parts]
            at = min(pairs)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]

    return encode


@pytest.fixture(scope="module")
def merging() -> MachineEngine:
    """For a vocabulary with a tokenizer."""
    tokens: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    tokens += [text.encode() for text in dict.fromkeys(MERGES)] + [None, None]
    special = {"<|x|>": len(tokens) - 2}
    return MachineEngine(Vocabulary(tokens, [len(tokens) - 1], encode=byte_pairs(tokens), special=special))


def spelled(vocabulary: Vocabulary, tokens: list[int]) -> bytes:
    return b"".join(vocabulary.tokens[token] or b"" for token in tokens)


def completed(matcher: MachineMatcher, rng: random.Random) -> bytes:
    """Some way to the end, byte by byte."""
    text, row = b"", np.zeros(matcher.machine.tables.num_words, np.int32)
    while not matcher.is_complete() or (rng.random() < 0.7 and not matcher.is_exhausted()):
        matcher.mask_into(row)
        text += bytes([rng.choice(np.flatnonzero(unpack(row[None], 256)[0]).tolist())])
        assert matcher.accept(text[-1])
    return text


def hold(vocabulary: Vocabulary, encode: Encode, spec: Spec, engine: MachineEngine, rng: random.Random) -> int:
    """Follows one canonical text; at every boundary the forced tokens begin every canonical way on. Their number."""
    grammar = engine.compile(spec)
    whole = completed(grammar.matcher(), rng)
    matcher, taken, found = grammar.matcher(), list[int](), 0
    for token in encode(whole.decode()):
        forced = matcher.forced()
        found += len(forced)
        assert matcher.forced_bytes().startswith(spelled(vocabulary, forced))
        for _ in range(4):
            text = spelled(vocabulary, taken)
            way = encode((text + completed(matcher.fork(), rng)).decode())
            if way[: len(taken)] == taken:
                assert way[len(taken) :][: len(forced)] == forced
        assert matcher.accept(token)
        taken.append(token)
    return found


@pytest.mark.parametrize("spec", WORDS, ids=range(len(WORDS)))
def test_every_canonical_text_has_the_forced_tokens(spec: Spec, merging: MachineEngine) -> None:
    rng = random.Random(1)
    vocabulary = merging.vocabulary
    assert vocabulary.encode is not None
    found = sum(hold(vocabulary, vocabulary.encode, spec, merging, rng) for _ in range(4))
    assert found > 0 or WORDS.index(spec) < 2  # in the first two, whatever is forced may be joined to what comes next


def naively_forced(matcher: MachineMatcher) -> bytes:
    """The only byte allowed, again and again."""
    text = b""
    while not matcher.is_complete():
        ways = [byte for byte in range(256) if matcher.fork().accept(byte)]
        if len(ways) != 1:
            break
        text += bytes(ways)
        assert matcher.accept(ways[0])
    return text


@pytest.mark.parametrize("spec", WORDS, ids=range(len(WORDS)))
def test_forced_bytes_are_the_only_ones_allowed(spec: Spec, merging: MachineEngine) -> None:
    rng = random.Random(2)
    captures = isinstance(spec, JsonSchema) and "uniqueItems" in spec.schema
    for _ in range(3):
        matcher = merging.compile(spec).matcher()
        for byte in completed(matcher.fork(), rng):
            ours, naive = matcher.forced_bytes(), naively_forced(matcher.fork())
            assert naive.startswith(ours) if captures else naive == ours
            assert matcher.accept(byte)
        assert matcher.forced_bytes() == b""


def test_as_many_bytes_are_forced_as_are_looked_for(merging: MachineEngine) -> None:
    matcher = merging.compile(Regex("[ab]" + "d" * 700)).matcher()
    assert matcher.forced_bytes() == b""
    assert matcher.accept(ord("a"))
    assert matcher.forced_bytes() == b"d" * 512
    assert matcher.forced() == [ord("d")] * 512


def test_nothing_is_forced_where_the_text_may_end(merging: MachineEngine) -> None:
    matcher = merging.compile(Regex("(?:cde)*")).matcher()
    assert matcher.forced_bytes() == b""
    assert matcher.accept(ord("c"))
    assert matcher.forced_bytes() == b"de"
    finished = merging.compile(Regex("c")).matcher()
    assert finished.accept(ord("c"))
    assert finished.accept(len(merging.vocabulary) - 1)
    assert (finished.forced_bytes(), finished.forced()) == (b"", [])


def test_a_special_token_is_no_text_to_be_tokenized(merging: MachineEngine) -> None:
    special = merging.vocabulary.special["<|x|>"]
    matcher = merging.compile(Sequence(("cde", SpecialToken("<|x|>"), "d1", Regex("[12]")))).matcher()
    assert spelled(merging.vocabulary, matcher.forced()) == b"cde"
    assert matcher.read(b"cde") == 3
    assert matcher.forced() in ([], [special])
    assert matcher.accept(special)
    assert matcher.forced() == [ord("d")]  # `12` is a token
    assert matcher.accept(ord("d"))
    assert matcher.forced() == []


def test_history_may_begin_within_a_character(merging: MachineEngine) -> None:
    matcher = merging.compile(Regex("é12d[12]")).matcher()
    for byte in "é12".encode():
        assert matcher.accept(byte)
    assert matcher.forced() == [ord("d")]


def test_no_tokenizer_no_tokens(engine: MachineEngine) -> None:
    matcher = engine.compile(Regex("abc")).matcher()
    assert (matcher.forced_bytes(), matcher.forced()) == (b"abc", [])


def test_what_may_be_joined_to_something_later_is_not_certain(merging: MachineEngine) -> None:
    vocabulary = merging.vocabulary
    encode, tokens = vocabulary.encode, vocabulary.tokens
    assert encode is not None
    assert [tokens[token] for token in certain_tokens(b"", b"cdecd", [], encode, tokens)] == [b"cde", b"c", b"d"]
    assert [tokens[token] for token in certain_tokens(b"", b"cdecd", [3], encode, tokens)] == [b"cde"]
    assert certain_tokens(b"cd", b"e1", [], encode, tokens) == []  # `cde` is a token: there is no boundary
    assert certain_tokens("é".encode()[:1], "é".encode()[1:], [], encode, tokens) == []
    assert certain_tokens(b"1", "dé".encode()[:-1], [], encode, tokens) == [ord("d")]


@pytest.fixture(scope="module")
def smollm2_engine(smollm2: Vocabulary) -> MachineEngine:
    from tokenizers import Tokenizer

    path = Path(__file__).parents[4] / "shared" / "data" / "smollm2-tokenizer" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return MachineEngine(Vocabulary(smollm2.tokens, smollm2.end_tokens, encode=encode))


CORPUS: list[tuple[Any, str]] = [
    ({"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "is active": {"type": "boolean"}},
      "required": ["name", "is active"], "additionalProperties": False}, "fixed"),
    ({"type": "object", "properties": {"first_name": {"enum": ["Ann", "Anna", "Annabel"]}, "größe": {"const": "  x"}},
      "required": ["first_name", "größe"], "additionalProperties": False}, "compact"),
    ({"type": "array", "items": {"enum": ["it's", "it'd", "it   is"]}, "uniqueItems": True, "minItems": 2}, "fixed"),
]  # fmt: skip
PATTERNS = [
    "Hello,   (?:world|you|\\d)",
    "x = \\d\\d;\n\n\n?y",
    "a  [b-zé]",
    "the  (?:ก|\U0001f9ff|b)",
    "don'(?:t|ll|x) go",
]


@pytest.mark.corpus
@pytest.mark.parametrize("case", range(len(CORPUS) + len(PATTERNS)))
def test_every_text_canonical_to_a_real_tokenizer_has_the_forced_tokens(
    case: int, smollm2_engine: MachineEngine
) -> None:
    schemas: list[Spec] = [JsonSchema.of(schema, whitespace) for schema, whitespace in CORPUS]  # type: ignore[arg-type]
    spec = [*schemas, *map(Regex, PATTERNS)][case]
    encode = smollm2_engine.vocabulary.encode
    assert encode is not None
    engine, rng = smollm2_engine, random.Random(case)
    grammar = engine.compile(spec)
    vocabulary = engine.vocabulary
    for _ in range(3):
        whole = by_bytes(grammar.matcher(), vocabulary, rng)
        matcher, taken = grammar.matcher(), list[int]()
        for token in encode(whole.decode()):
            forced = matcher.forced()
            for _ in range(3):
                way = encode((spelled(vocabulary, taken) + by_bytes(matcher.fork(), vocabulary, rng)).decode())
                if way[: len(taken)] == taken:
                    assert way[len(taken) :][: len(forced)] == forced, vocabulary.tokens[forced[0]]
            assert matcher.accept(token)
            taken.append(token)


def by_bytes(matcher: MachineMatcher, vocabulary: Vocabulary, rng: random.Random) -> bytes:
    """Some way to the end by bytes, whether they are tokens or not."""
    text = b""
    while not matcher.is_complete() or (rng.random() < 0.5 and not matcher.is_exhausted()):
        ways = [byte for byte in range(0x80) if matcher.fork().read(bytes([byte]))]
        if not ways or rng.random() < 0.1:
            ways = [byte for byte in range(256) if matcher.fork().read(bytes([byte]))]
        text += bytes([rng.choice(ways)])
        assert matcher.read(text[-1:])
    return text
