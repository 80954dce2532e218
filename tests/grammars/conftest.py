from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from grammars import Grammar, GrammarCompiler, Vocabulary
from grammars.sample import sample_text

WORDS = [
    "ab",
    "aba",
    "ba",
    "12",
    "é",
    "éa",
    "😀",
    "true",
    "null",
    '{"',
    '": ',
    ', "',
    '":"',
    "},",
    "]}",
    "\\n",
    '\\"',
    "  ",
]
SPLIT = ["é".encode()[:1] + b"", "😀".encode()[:2], "😀".encode()[2:], b"a" + "é".encode()[:1], "é".encode()[1:] + b"b"]


def byte_level_table() -> dict[str, int]:
    """The bytes behind the characters of a byte-level BPE vocabulary (the GPT-2 alphabet)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """Every byte, some longer tokens (one twice, some ending inside a character), specials, two end tokens."""
    tokens: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    tokens += [word.encode() for word in WORDS] + SPLIT + [b"ab", b"", None, b"</s>", None]
    return Vocabulary(tokens, [len(tokens) - 1, len(tokens) - 2])


@pytest.fixture(scope="session")
def smollm2() -> Vocabulary:
    path = Path(__file__).parents[3] / "shared" / "data" / "smollm2-tokenizer" / "tokenizer.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    content = json.loads(path.read_text(encoding="utf-8"))
    special = {added["id"] for added in content["added_tokens"]}
    table = byte_level_table()
    tokens: list[bytes | None] = [None] * len(content["model"]["vocab"])
    for token, index in content["model"]["vocab"].items():
        tokens[index] = None if index in special else bytes(table[char] for char in token)
    return Vocabulary(tokens, [0, 2])


@pytest.fixture(scope="session")
def compiler(vocabulary: Vocabulary) -> GrammarCompiler:
    """Compiles for the vocabulary, whose tables are made once."""
    return GrammarCompiler(vocabulary)


@pytest.fixture(scope="session")
def accepts(vocabulary: Vocabulary) -> Callable[[Grammar, str | bytes], bool]:
    """Tells whether a grammar accepts a whole text, read byte by byte."""

    def accepted(grammar: Grammar, text: str | bytes) -> bool:
        matcher = grammar.matcher()
        data = text if isinstance(text, bytes) else text.encode()
        return all(matcher.accept(byte) for byte in data) and matcher.is_complete()

    return accepted


@pytest.fixture(scope="session")
def walk(vocabulary: Vocabulary) -> Callable[[Grammar, random.Random], str]:
    """Draws a random text from a grammar's masks, or fails where it gets stuck or does not end."""

    def walked(grammar: Grammar, rng: random.Random) -> str:
        text = sample_text(grammar.matcher(), vocabulary, rng, hurry=rng.choice([3, 15, 40]))
        assert text is not None, "the text has no end"
        return text.decode()

    return walked
