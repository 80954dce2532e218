"""What a constraint costs: the same prompts decoded to the same number of tokens, with a schema and without."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema

from benchmarks.prompts import PERSON, person
from benchmarks.report import Report, Row
from runtime.engine import Engine

__all__ = ["compare"]

BATCH = 32
AT_LEAST = 0.95


@dataclass(frozen=True)
class Decoded:
    """What one batch came to.

    Attributes:
        seconds: wall time.
        steps: forward passes.
        answers: one per prompt.
    """

    seconds: float
    steps: int
    answers: list[dict[str, Any]]

    @property
    def lengths(self) -> list[int]:
        """New tokens of each answer."""
        return [answer["meta_info"]["completion_tokens"] for answer in self.answers]

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return sum(self.lengths) / self.seconds


def compare(report: Report, engine: Engine, repeat: int) -> None:
    """`BATCH` objects of six fields, beside as many tokens of the same prompts without the schema.

    The prompts are cached, so that what is timed is the decoding. Each pair is timed in turn, now one and now the other
    first.
    """
    prompts = _prompts(engine)
    for jumps, what in ((False, "without jump-forward"), (True, "with jump-forward")):
        held = [_held(jumps)] * BATCH
        lengths = _run(engine, prompts, held).lengths
        free = [{"temperature": 0, "max_new_tokens": length, "ignore_eos": True} for length in lengths]
        _run(engine, prompts, free)
        pairs, constrained = [], []
        for turn in range(repeat):
            sides = [_run(engine, prompts, side) for side in ((held, free) if turn % 2 else (free, held))]
            ours, plain = sides if turn % 2 else reversed(sides)
            pairs.append((ours.rate, plain.rate))
            constrained.append(ours)
        report.faster(f"{BATCH} constrained, {what}, tok/s (beside: no schema)", pairs, AT_LEAST)
        report.add(Row(f"  steps of the model for {sum(lengths)} tokens", constrained[0].steps))
        valid = min(sum(_is_valid(answer["text"]) for answer in one.answers) for one in constrained)
        report.add(Row(f"  valid under the schema, of {BATCH}", valid, goal=f"= {BATCH}", met=valid == BATCH))


def _prompts(engine: Engine) -> list[str]:
    texts = [person(f"constrained-{place}") for place in range(BATCH)]
    template = engine.chat_template
    if template is None:
        return texts
    return [template.render([{"role": "user", "content": text}], add_generation_prompt=True) for text in texts]


def _held(jumps: bool) -> dict[str, Any]:
    return {"temperature": 0, "max_new_tokens": 128, "json_schema": json.dumps(PERSON), "jump_forward": jumps}


def _run(engine: Engine, prompts: Sequence[str], params: Sequence[dict[str, Any]]) -> Decoded:
    before = engine.stats()["steps"]
    start = time.perf_counter()
    answers = engine.generate(prompts, params)
    return Decoded(time.perf_counter() - start, engine.stats()["steps"] - before, answers)


def _is_valid(text: str) -> bool:
    try:
        jsonschema.validate(json.loads(text), PERSON)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True
