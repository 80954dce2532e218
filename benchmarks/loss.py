"""`python -m benchmarks.loss`: what weight formats cost in quality, against the same weights in float32.

Perplexity of a text, read in pieces; how often the likeliest next token is float32's, at every place of the text; and
of greedy texts how many tokens come before the first that is not float32's.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

from runtime.engine import Engine

FORMATS = ("float32", "blocks", "int8", "fp16", "bfloat16")
PIECE = 1024
"""Tokens read at once; each piece starts from nothing."""
NEW = 64


@dataclass(frozen=True)
class Quality:
    """What one weight format makes of the text.

    Attributes:
        label: of the format, as the engine describes it.
        perplexity: of the tokens read.
        likeliest: the likeliest next token at every place.
        greedy: the tokens of greedy texts.
    """

    label: str
    perplexity: float
    likeliest: tuple[int, ...]
    greedy: tuple[tuple[int, ...], ...]


def read_text(path: Path) -> str:
    """The text of a file; of a .jsonl the strings of its lines."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".jsonl":
        return content
    return "\n\n".join(str(json.loads(line)) for line in content.splitlines() if line.strip())


def measure(model: str, weight_format: str, text: str, most: int, num_prompts: int) -> Quality:
    with Engine(model, weight_format=weight_format) as engine:
        ids = engine.tokenizer.encode(text)[:most]
        pieces = [ids[start : start + PIECE] for start in range(0, len(ids) - 1, PIECE)]
        total, count = 0.0, 0
        likeliest: list[int] = []
        for piece in pieces:
            answer = engine.generate(
                input_ids=piece,
                sampling_params={"max_new_tokens": 0},
                return_logprob=True,
                logprob_start_len=0,
                top_logprobs_num=1,
            )
            meta = answer["meta_info"]
            scores = [logprob for logprob, _, _ in meta["input_token_logprobs"] if logprob is not None]
            total, count = total - sum(scores), count + len(scores)
            likeliest += [best[0][1] for best in meta["input_top_logprobs"] if best]
        prompts = [piece[:100] for piece in pieces[:num_prompts]]
        greedy = engine.generate(input_ids=prompts, sampling_params={"max_new_tokens": NEW, "temperature": 0})
        label = engine.describe()["weight_format"]
    texts = tuple(tuple(one["output_ids"]) for one in greedy)
    return Quality(label, math.exp(total / count), tuple(likeliest), texts)


def agreed(mine: tuple[int, ...], theirs: tuple[int, ...]) -> float:
    """The share of places with the same token."""
    return sum(a == b for a, b in zip(mine, theirs, strict=True)) / max(1, len(theirs))


def same_start(mine: tuple[int, ...], theirs: tuple[int, ...]) -> int:
    """Tokens before the first that differs."""
    pairs = enumerate(zip(mine, theirs, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(mine), len(theirs)))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loss", description=__doc__)
    parser.add_argument("text", type=Path, help="a text file, or a .jsonl file of strings")
    parser.add_argument("--model", default="smollm2", help="a built-in name, a folder or a GGUF file")
    parser.add_argument("--formats", nargs="+", default=FORMATS, help="weight formats beside float32")
    parser.add_argument("--tokens", type=int, default=20480, help="how much of the text is read")
    parser.add_argument("--prompts", type=int, default=16, help="greedy texts")
    options = parser.parse_args(arguments)
    text = read_text(options.text)
    print(f"{'weight format':<40}{'perplexity':>12}{'of float32':>12}{'same likeliest':>16}{'same greedy':>13}")
    base: Quality | None = None
    for name in dict.fromkeys(("float32", *options.formats)):
        own = measure(options.model, name, text, options.tokens, options.prompts)
        base = base or own
        starts = [same_start(a, b) / max(1, len(b)) for a, b in zip(own.greedy, base.greedy, strict=True)]
        share = own.perplexity / base.perplexity
        same = agreed(own.likeliest, base.likeliest)
        greedy = sum(starts) / max(1, len(starts))
        print(f"{own.label:<40}{own.perplexity:>12.4f}{share:>12.5f}{same:>15.2%} {greedy:>12.1%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
