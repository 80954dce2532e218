"""The vocabulary as a trie in preorder, laid out for the kernels in one int32 array."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from grammars.machine.scratch import MAX_TOKEN
from grammars.vocabulary import Vocabulary

__all__ = ["SPECIAL", "build_trie", "special_bytes", "token_bytes"]

HEADER = 12
NODES, BYTE_AT, DEPTH_AT, SKIP_AT, FIRST_AT, TOKEN_AT = range(6)
START_AT, TEXT_AT, ENDS_AT, WITHIN_AT, DEEPEST_AT, LONGEST = range(6, HEADER)
"""Header: number of nodes; where each node's byte, depth, next node outside the subtree and first token lie; where the
tokens lie in the order of their nodes; where each token's text starts (V + 1 ints, counted from TEXT_AT); where the
texts lie; where the end tokens lie ([n, token…]); where the classes of the bytes of every node and those below it lie
(two ints, a bit for each of `BYTE_CLASSES`); where each subtree's greatest depth lies; length of the longest token in
characters."""
CHILDREN = HEADER
"""256 ints behind the header: the root's child by byte, 0 for none."""
SPECIAL = 0xFF
"""No UTF-8 text has this byte: special tokens are spelled with it, so that grammars can ask for them like for text."""

Ints: TypeAlias = npt.NDArray[np.int32]


def _classes() -> Ints:
    """For each byte its class: letters, digits and bytes beyond ASCII together, all other characters by themselves."""
    classes = np.zeros(256, np.int32)
    groups = ["abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ", "0123456789", "\t\n\r"]
    groups += [char for char in map(chr, range(0x20, 0x80)) if not char.isalnum()]
    for number, group in enumerate(groups, 1):
        classes[list(group.encode())] = number
    classes[0x80:0xC0] = len(groups) + 1
    classes[0xC0:] = len(groups) + 2
    return classes


BYTE_CLASSES = _classes()
"""int32 [256], less than 62; 0 for control characters."""


def special_bytes(token: int) -> bytes:
    """How a special token is spelled inside the machine."""
    return bytes([SPECIAL, token >> 14 & 0x7F, token >> 7 & 0x7F, token & 0x7F])


def token_bytes(vocabulary: Vocabulary) -> list[bytes]:
    """The bytes the machine reads for every token; none of what no text can have: end tokens, long ones, byte 0xFF."""
    texts = [b"" if text is None or len(text) > MAX_TOKEN or SPECIAL in text else text for text in vocabulary.tokens]
    for token in vocabulary.end_tokens:
        texts[token] = b""
    for token in vocabulary.special.values():
        texts[token] = special_bytes(token)
    return texts


def build_trie(vocabulary: Vocabulary) -> Ints:
    """The trie of all tokens of 1 to 1,024 bytes; longer ones are never allowed. O(bytes of the vocabulary)."""
    texts = token_bytes(vocabulary)
    order = sorted((token for token, text in enumerate(texts) if 0 < len(text) <= MAX_TOKEN), key=texts.__getitem__)
    bytes_of: list[int] = [0]
    depths: list[int] = [0]
    node_of: list[int] = []
    path: list[int] = [0]
    previous = b""
    for token in order:
        text = texts[token]
        common = 0
        for mine, theirs in zip(previous, text, strict=False):
            if mine != theirs:
                break
            common += 1
        del path[common + 1 :]
        for depth in range(common, len(text)):
            path.append(len(bytes_of))
            bytes_of.append(text[depth])
            depths.append(depth + 1)
        node_of.append(path[len(text)])
        previous = text
    return _laid_out(vocabulary, bytes_of, depths, order, node_of, texts)


def _laid_out(
    vocabulary: Vocabulary,
    bytes_of: list[int],
    depths: list[int],
    order: list[int],
    node_of: list[int],
    texts: list[bytes],
) -> Ints:
    count = len(bytes_of)
    children = np.zeros(256, np.int32)
    for node in range(1, count):
        if depths[node] == 1:
            children[bytes_of[node]] = node
    first = np.searchsorted(np.array(node_of, np.int64), np.arange(count + 1)).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int32)
    ends = sorted(vocabulary.end_tokens)
    parts = [
        children,
        np.array(bytes_of, np.int32),
        np.array(depths, np.int32),
        _skips(depths),
        first,
        np.array(order, np.int32),
        starts,
        np.frombuffer(b"".join(texts), np.uint8).astype(np.int32),
        np.array([len(ends), *ends], np.int32),
        *_summaries(bytes_of, depths),
    ]
    places = np.cumsum([HEADER] + [len(part) for part in parts])
    longest = max((sum(byte & 0xC0 != 0x80 for byte in text) for text in texts), default=0)
    header = [count, *places[1:9], places[9], places[10], longest]
    return np.concatenate([np.array(header, np.int32), *parts]).astype(np.int32)


def _skips(depths: list[int]) -> Ints:
    """For every node the next one that is not below it."""
    skips = np.full(len(depths), len(depths), np.int32)
    open_nodes: list[int] = []
    for node, depth in enumerate(depths):
        while open_nodes and depths[open_nodes[-1]] >= depth:
            skips[open_nodes.pop()] = node
        open_nodes.append(node)
    return skips


def _summaries(bytes_of: list[int], depths: list[int]) -> tuple[Ints, Ints]:
    """For every node the classes of the bytes in its subtree, two ints each, and the subtree's greatest depth."""
    within = [1 << int(BYTE_CLASSES[byte]) for byte in bytes_of]
    deepest = depths.copy()
    path: list[int] = []
    for node, depth in enumerate([*depths, 0]):
        while path and depths[path[-1]] >= depth:
            done = path.pop()
            if path:
                within[path[-1]] |= within[done]
                deepest[path[-1]] = max(deepest[path[-1]], deepest[done])
        path.append(node)
    low, high = [bits & 0x7FFFFFFF for bits in within], [bits >> 31 for bits in within]
    return np.array([low, high], np.int32).T.reshape(-1), np.array(deepest, np.int32)
