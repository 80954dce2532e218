from __future__ import annotations

import random

import pytest

from grammars import Regex, Vocabulary
from grammars.machine.engine import MachineEngine
from grammars.machine.kernels import Kernels
from grammars.machine.trie import (
    BYTE_AT,
    CHILDREN,
    DEPTH_AT,
    ENDS_AT,
    FIRST_AT,
    LONGEST,
    NODES,
    SKIP_AT,
    START_AT,
    TEXT_AT,
    TOKEN_AT,
    build_trie,
    special_bytes,
    token_bytes,
)


def random_vocabulary(seed: int) -> Vocabulary:
    rng = random.Random(seed)
    tokens: list[bytes | None] = [
        bytes(rng.choices(b"ab\x00\xff\xc3\xa9", k=rng.randint(0, 6))) for _ in range(rng.randint(1, 60))
    ]
    tokens += [None, b"</s>", None]
    return Vocabulary(tokens, [len(tokens) - 2], special={"<|x|>": len(tokens) - 1})


def texts_below(trie: list[int]) -> list[tuple[bytes, list[int], int]]:
    """(text, tokens that end there, first node outside) of every node, read from the layout from left to right."""
    found: list[tuple[bytes, list[int], int]] = []
    path = b""
    for node in range(trie[NODES]):
        depth = trie[trie[DEPTH_AT] + node]
        assert depth <= len(path) + 1
        if node:
            path = path[: depth - 1] + bytes([trie[trie[BYTE_AT] + node]])
        first, after = trie[trie[FIRST_AT] + node], trie[trie[FIRST_AT] + node + 1]
        tokens = trie[trie[TOKEN_AT] + first : trie[TOKEN_AT] + after]
        found.append((path, tokens, trie[trie[SKIP_AT] + node]))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_layout_is_that_of_a_plain_trie(seed: int) -> None:
    vocabulary = random_vocabulary(seed)
    by_text: dict[bytes, list[int]] = {}
    for token, text in enumerate(token_bytes(vocabulary)):
        if text:
            by_text.setdefault(text, []).append(token)
    prefixes = {text[:length] for text in by_text for length in range(len(text) + 1)}
    laid = texts_below(build_trie(vocabulary).tolist())
    assert [text for text, _, _ in laid] == sorted(prefixes)
    assert {text: sorted(tokens) for text, tokens, _ in laid if tokens} == by_text
    for node, (text, _, skip) in enumerate(laid):
        below = [other for other, (longer, _, _) in enumerate(laid) if longer.startswith(text)]
        assert (below[0], below[-1] + 1) == (node, skip)


@pytest.mark.parametrize("seed", range(5))
def test_children_of_the_root_texts_and_ends_are_found_at_once(seed: int) -> None:
    vocabulary = random_vocabulary(seed)
    trie = build_trie(vocabulary).tolist()
    for byte in range(256):
        node = trie[CHILDREN + byte]
        begins = any(text[:1] == bytes([byte]) for text in token_bytes(vocabulary))
        assert (node != 0) == begins
        assert not node or (trie[trie[BYTE_AT] + node], trie[trie[DEPTH_AT] + node]) == (byte, 1)
    for token, text in enumerate(token_bytes(vocabulary)):
        begin, end = (trie[TEXT_AT] + trie[trie[START_AT] + token + further] for further in (0, 1))
        assert bytes(trie[begin:end]) == text
    assert trie[trie[ENDS_AT] : trie[ENDS_AT] + 2] == [1, min(vocabulary.end_tokens)]


def test_special_tokens_have_texts_of_their_own_and_end_tokens_none() -> None:
    spelled = {special_bytes(token) for token in (0, 1, 127, 128, 16_384, 262_143)}
    assert len(spelled) == 6
    assert all(text[0] == 0xFF and max(text[1:]) < 0x80 for text in spelled)
    vocabulary = Vocabulary([b"a", b"</s>", None, None], [1, 2], special={"<|end|>": 2, "<|x|>": 3})
    assert token_bytes(vocabulary) == [b"a", b"", special_bytes(2), special_bytes(3)]


def test_the_longest_token_is_counted_in_characters() -> None:
    vocabulary = Vocabulary([b"ab", "éé😀".encode(), b"\x80\x80\x80\x80a", b"</s></s></s>"], [3])
    assert build_trie(vocabulary)[LONGEST] == 3


def test_tokens_of_more_than_1024_bytes_are_never_allowed(plain: Kernels) -> None:
    vocabulary = Vocabulary([b"a", b"a" * 1024, b"a" * 1025, None], [3])
    matcher = MachineEngine(vocabulary, kernels=plain).compile(Regex("a*")).matcher()
    assert build_trie(vocabulary)[LONGEST] == 1024
    import numpy as np

    row = np.zeros(1, np.int32)
    matcher.mask_into(row)
    assert int(row[0]) == 0b1011
    assert not matcher.accept(2)
    assert matcher.accept(1)
