"""Prompts: what the load of `sgdsl tune` asks: a user's own prompts, or a synthetic mix."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from sgdsl.cli.errors import UsageError

__all__ = ["Prompt", "longest", "read", "synthetic"]

NUM_PREFIXES = 4
SHARED = 0.25
"""Share of a synthetic prompt that many have in common."""

SPREAD = 0.5
"""Lengths of the mix lie so far around what is asked, both ways."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request of the load.

    Attributes:
        content: text, or token ids.
        max_new_tokens: the answer's length at most; that length exactly where `is_exact`.
    """

    content: str | list[int]
    max_new_tokens: int
    is_exact: bool = False

    def arguments(self, share: float = 1.0) -> dict[str, Any]:
        """Keyword arguments of `Engine.generate`, for an answer of so great a share of the length."""
        count = max(1, round(share * self.max_new_tokens))
        params = {"max_new_tokens": count, "temperature": 0, "ignore_eos": self.is_exact}
        name = "prompt" if isinstance(self.content, str) else "input_ids"
        return {name: self.content, "sampling_params": params}


def read(path: Path, new_tokens: int) -> Iterator[Prompt]:
    """The prompts of a file, over and over: one a line, or JSON lines where it is called .jsonl.

    A JSON line is a string, or an object with `prompt` and, if it is to differ, `max_tokens`.

    Raises:
        UsageError: it cannot be read, or a line is none of these.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--prompts {path}: {error}") from None
    is_json = path.suffix in (".jsonl", ".json")
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    prompts = [
        _parsed(line, f"{path}:{number}", new_tokens) if is_json else Prompt(line, new_tokens)
        for number, line in numbered
    ]
    if not prompts:
        raise UsageError(f"--prompts {path}: there is no prompt in it")
    return cycle(prompts)


def _parsed(line: str, place: str, new_tokens: int) -> Prompt:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"--prompts {place}: no JSON: {error}") from None
    fields = {"prompt": entry} if isinstance(entry, str) else entry
    text = fields.get("prompt") if isinstance(fields, dict) else None
    if not isinstance(text, str) or not text:
        raise UsageError(f"--prompts {place}: a string is needed, or an object with a string as `prompt`")
    count = fields.get("max_tokens", new_tokens)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(f"--prompts {place}: max_tokens={count!r} is not allowed: an integer of at least 1")
    return Prompt(text, count)


def longest(tokens: int) -> int:
    """The most tokens that a length of the mix comes to."""
    return round(tokens * (1 + SPREAD))


def synthetic(vocab_size: int, prompt_tokens: int, new_tokens: int, seed: int) -> Iterator[Prompt]:
    """An endless mix: lengths around those given, and one of a few prefixes before what is each prompt's own."""
    rng = random.Random(seed)

    def ids(count: int) -> list[int]:  # neither end of a vocabulary: that is where special tokens stand
        return [rng.randrange(vocab_size // 8, vocab_size // 2) for _ in range(count)]

    def length(around: int) -> int:
        return max(1, round(around * rng.uniform(1 - SPREAD, 1 + SPREAD)))

    prefixes = [ids(round(SHARED * prompt_tokens)) for _ in range(NUM_PREFIXES)]
    while True:
        prefix = rng.choice(prefixes)
        own = max(1, length(prompt_tokens) - len(prefix))
        yield Prompt(prefix + ids(own), length(new_tokens), is_exact=True)
