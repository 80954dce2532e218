"""How much of a valid text the grammar already knows: `python -m benchmarks.grammar_jump [CORPUS] [--limit N]`.

Follows the valid instances of a corpus (JSON lines with `schema` and `tests`) token by token. Wherever the grammar
forces tokens they are taken without asking the model, as the engine does. Reported for both ways of writing JSON: the
share of tokens and bytes that were forced, how often forced tokens were not those the tokenizer has for the text (must
be 0), and what asking costs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.grammar_adapter import Adapter, AdapterCompact, AdapterSpaced, Followed
from grammars import GrammarError
from runtime.model.hub import resolve
from runtime.tokenizer import Tokenizer

CORPUS = Path("../shared/data/schemas/maskbench.jsonl")
SEPARATORS = {AdapterSpaced: (", ", ": "), AdapterCompact: (",", ":")}


@dataclass(slots=True)
class Tally:
    """Sums over all texts of one way of writing.

    Attributes:
        tokens, forced: canonical tokens of all texts, and those of them that were forced.
        bytes, forced_bytes: likewise.
        calls: spans that were forced.
        strange: spans that differ from the canonical tokens.
        stopped: texts the grammar did not follow to the end, keys being in another order.
        microseconds: what each question for forced tokens took.
    """

    tokens: int = 0
    forced: int = 0
    bytes: int = 0
    forced_bytes: int = 0
    calls: int = 0
    strange: int = 0
    texts: int = 0
    stopped: int = 0
    microseconds: list[float] = field(default_factory=list)

    def report(self, name: str) -> str:
        """One line."""
        share, of_bytes = self.forced / max(1, self.tokens), self.forced_bytes / max(1, self.bytes)
        return (
            f"{name}: {self.texts} texts of {self.tokens} tokens: forced {share:.1%} of them, {of_bytes:.1%} of bytes "
            f"in {self.calls} spans, {self.strange} not canonical, {self.stopped} texts not followed to the end, "
            f"asking takes {statistics.median(self.microseconds or [0]):.1f} µs"
        )


@dataclass(frozen=True, slots=True)
class ModelTokenizer:
    """A model's tokenizer as the adapters take it."""

    tokenizer: Tokenizer

    @property
    def eos(self) -> int:
        """The first of the tokens that end a text."""
        return min(self.tokenizer.vocabulary.end_tokens)

    def bytes(self) -> list[bytes | None]:
        """The bytes of every token."""
        return list(self.tokenizer.vocabulary.tokens)

    def encode(self, s: str) -> list[int]:
        """The canonical tokens of a text."""
        return self.tokenizer.encode(s)


def instances(corpus: Path, limit: int) -> Iterator[tuple[Any, list[Any]]]:
    """Schemas and their valid instances, shuffled."""
    entries = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    random.Random(7).shuffle(entries)
    with_instances = (entry for entry in entries if any(test["valid"] for test in entry["tests"]))
    for _, entry in zip(range(limit), with_instances, strict=False):
        yield entry["schema"], [test["data"] for test in entry["tests"] if test["valid"]]


def spelled(ids: list[int], tokens: list[bytes | None]) -> bytes:
    """The bytes of tokens."""
    return b"".join(tokens[token] or b"" for token in ids)


def follow(matcher: Followed, ids: list[int], tokens: list[bytes | None], tally: Tally) -> None:
    """One text, forced tokens taken as they come."""
    at = 0
    tally.texts += 1
    tally.tokens += len(ids)
    tally.bytes += len(spelled(ids, tokens))
    while at < len(ids):
        begin = time.perf_counter()
        forced = matcher.ff_tokens()
        tally.microseconds.append((time.perf_counter() - begin) * 1e6)
        if forced:
            tally.calls += 1
            if not spelled(ids[at:], tokens).startswith(spelled(forced, tokens)):
                tally.stopped += 1
                return
            if forced != ids[at : at + len(forced)]:
                tally.strange += 1
                forced = []
            tally.forced += len(forced)
            tally.forced_bytes += len(spelled(forced, tokens))
        for token in forced or ids[at : at + 1]:
            if not matcher.accept(token):
                tally.stopped += 1
                return
            at += 1


def study(adapter: Adapter, separators: tuple[str, str], corpus: Path, limit: int, tokenizer: Any) -> Tally:
    """All texts of a corpus, written one way."""
    tally, tokens = Tally(), tokenizer.bytes()
    for schema, values in instances(corpus, limit):
        try:
            start = adapter.compile(schema)
        except GrammarError:
            continue
        for value in values:
            text = json.dumps(value, ensure_ascii=False, separators=separators)
            follow(start.reset(), tokenizer.encode(text), tokens, tally)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grammar_jump", description=__doc__)
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--limit", type=int, default=100, help="schemas (default: 100)")
    parser.add_argument("--model", default="smollm2", help="whose tokenizer (default: smollm2)")
    options = parser.parse_args()
    tokenizer = ModelTokenizer(Tokenizer.load(resolve(options.model)))
    for made, separators in SEPARATORS.items():
        tally = study(made(tokenizer), separators, options.corpus, options.limit, tokenizer)
        print(tally.report(made.__name__), flush=True)


if __name__ == "__main__":
    main()
