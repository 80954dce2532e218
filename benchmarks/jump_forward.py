"""Whether jump-forward changes what is written: random schemas, greedy, with it and without.

Without it the model may spell a text that the grammar forces in other tokens than the tokenizer would; what it writes
after that stands on another prompt. Every difference must be of that kind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.random_schemas import random_schemas
from benchmarks.report import Report, Row
from runtime.engine import Engine
from runtime.handle import Generation
from runtime.sampling.params import SamplingParams
from runtime.tokenizer import Tokenizer

__all__ = ["SAME", "SPELLING", "UNEXPLAINED", "Written", "compare", "verdict"]

BATCH = 16
NEW = 64
SAME, SPELLING, UNEXPLAINED = "same", "different-because-noncanonical", "unexplained"


@dataclass(frozen=True)
class Written:
    """What one run wrote.

    Attributes:
        text: all of it.
        tokens: it in tokens.
        is_forced: of each token, whether jump-forward appended it.
    """

    text: str
    tokens: tuple[int, ...]
    is_forced: tuple[bool, ...]


def compare(report: Report, engine: Engine, count: int) -> None:
    """Counts the texts of `count` schemas that are the same, and says of the others why they are not."""
    schemas = random_schemas(count, seed=0)
    tokenizer = engine.tokenizer
    found: Counter[str] = Counter()
    num_forced = num_tokens = 0
    for start in range(0, count, BATCH):
        part = schemas[start : start + BATCH]
        with_jumps, without = (_run(engine, part, jumps=jumps) for jumps in (True, False))
        for place, (jumped, plain) in enumerate(zip(with_jumps, without, strict=True)):
            kind = verdict(jumped, plain, tokenizer)
            found[kind] += 1
            num_forced += sum(jumped.is_forced)
            num_tokens += len(jumped.tokens)
            if kind != SAME:
                _show(start + place, kind, jumped, plain, tokenizer)
    report.add(Row(f"jump-forward on and off, {count} schemas: same text", found[SAME]))
    report.add(Row("  different where the model spelt a forced text otherwise", found[SPELLING]))
    report.add(Row("  different for no such reason", found[UNEXPLAINED], goal="= 0", met=not found[UNEXPLAINED]))
    report.add(Row("  forced, % of tokens", 100 * num_forced / max(1, num_tokens)))


def _run(engine: Engine, schemas: Sequence[dict[str, Any]], *, jumps: bool) -> list[Written]:
    waiting = []
    for schema in schemas:
        params = SamplingParams.parse(
            {"temperature": 0, "max_new_tokens": NEW, "json_schema": schema, "jump_forward": jumps}
        )
        with engine.open() as session:
            session.append(_prompt(engine, schema))
            waiting.append((session.generate(params), session.tokens()))
    return [_written(handle.result(), tokens.result()) for handle, tokens in waiting]


def _prompt(engine: Engine, schema: dict[str, Any]) -> str:
    text = f"Write a JSON object that follows this JSON schema.\n{json.dumps(schema)}"
    template = engine.chat_template
    return (
        text if template is None else template.render([{"role": "user", "content": text}], add_generation_prompt=True)
    )


def _written(result: Generation, tokens: Sequence[tuple[int, str]]) -> Written:
    own = tokens[result.prompt_tokens :]
    return Written(result.text, tuple(token for token, _ in own), tuple(origin == "forced" for _, origin in own))


def verdict(jumped: Written, plain: Written, tokenizer: Tokenizer) -> str:
    """Why two runs differ, or that they do not.

    A difference is explained where the run that jumps has a forced token at the first place that differs, the other run
    wrote the same characters there, and tokenizing its text anew from where the forced tokens began gives the forced
    token and not the model's own.
    """
    if jumped.text == plain.text:
        return SAME
    place = _first_difference(jumped, plain)
    if place is None or not jumped.is_forced[place]:
        return UNEXPLAINED
    first = place
    while first and jumped.is_forced[first - 1]:
        first -= 1
    after = next((after for after in range(place, len(jumped.tokens)) if not jumped.is_forced[after]), None)
    forced = tokenizer.decode(jumped.tokens[first:after])
    written = tokenizer.decode(plain.tokens[first:])
    if not (written.startswith(forced) or forced.startswith(written)):
        return UNEXPLAINED
    return SPELLING if _is_respelt(tokenizer.encode, written, place - first, jumped, plain, place) else UNEXPLAINED


def _is_respelt(
    encode: Callable[[str], Sequence[int]], written: str, offset: int, jumped: Written, plain: Written, place: int
) -> bool:
    again = encode(written)
    return len(again) > offset and again[offset] == jumped.tokens[place] != plain.tokens[place]


def _first_difference(jumped: Written, plain: Written) -> int | None:
    pairs = zip(jumped.tokens, plain.tokens, strict=False)
    return next((place for place, (ours, theirs) in enumerate(pairs) if ours != theirs), None)


def _show(number: int, kind: str, jumped: Written, plain: Written, tokenizer: Tokenizer) -> None:
    at = _first_difference(jumped, plain) or 0
    shown = [
        " ".join(json.dumps(tokenizer.decode([token])) for token in run.tokens[max(0, at - 2) : at + 4])
        for run in (jumped, plain)
    ]
    print(f"  schema {number}, {kind}: {shown[0]} and not {shown[1]}")
