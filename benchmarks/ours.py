"""Our side of the comparison: every workload through the language, the interpreter and the engine."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import jsonschema

import sgdsl as sg
from benchmarks import programs
from benchmarks.prompts import PERSON, person, words
from runtime.engine import Engine


@dataclass(frozen=True)
class Timing:
    """What one workload took.

    Attributes:
        seconds: wall time.
        tokens: generated.
        counters: differences of the engine's counters.
        note: what else there is to say.
    """

    seconds: float
    tokens: int
    counters: dict[str, int]
    note: dict[str, Any]


class Ours:
    """Runs workloads on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        sg.set_default_backend(engine)

    def _timed(self, run: Any) -> tuple[Any, float, dict[str, int]]:
        before = self.engine.stats()
        start = time.perf_counter()
        states = run()
        seconds = time.perf_counter() - start
        after = self.engine.stats()
        return states, seconds, {key: after[key] - before[key] for key in after if isinstance(after[key], int)}

    def decode(self, batch: int, prompt_tokens: int, new_tokens: int, salt: str) -> Timing:
        """`batch` prompts side by side."""
        prompts = [words(self.engine.tokenizer, prompt_tokens, f"decode-{salt}-{i}") for i in range(batch)]
        arguments = [{"prompt": prompt, "max_tokens": new_tokens} for prompt in prompts]
        _, seconds, counters = self._timed(lambda: programs.complete.run_batch(arguments, num_threads=batch))
        return Timing(seconds, counters["generated_tokens"], counters, {})

    def shared_prefix(self, count: int, prefix_tokens: int, own_tokens: int, salt: str) -> Timing:
        """`count` requests with one prefix."""
        tokenizer = self.engine.tokenizer
        prefix = words(tokenizer, prefix_tokens, f"prefix-{salt}")
        own = [words(tokenizer, own_tokens, f"own-{salt}-{i}") for i in range(count)]
        arguments = [{"prefix": prefix, "question": question} for question in own]
        _, seconds, counters = self._timed(lambda: programs.shared_prefix.run_batch(arguments, num_threads=count))
        optimal = (count - 1) * prefix_tokens
        rate = {"cached_rate": counters["cached_tokens"] / counters["prompt_tokens"]}
        rate["cached_rate_of_optimal"] = counters["cached_tokens"] / optimal
        return Timing(seconds, counters["generated_tokens"], counters, rate)

    def fork(self, count: int, prefix_tokens: int, own_tokens: int, salt: str) -> Timing:
        """One program that forks `count` times after a prefix."""
        tokenizer = self.engine.tokenizer
        prefix = words(tokenizer, prefix_tokens, f"fork-{salt}")
        questions = [words(tokenizer, own_tokens, f"fork-{salt}-{i}") for i in range(count)]
        _, seconds, counters = self._timed(lambda: programs.fan_out.run(prefix, questions))
        expected = prefix_tokens + count * own_tokens
        return Timing(seconds, counters["generated_tokens"], counters, {"prefix_plus_own_tokens": expected})

    def json(self, count: int, salt: str) -> Timing:
        """`count` objects under a schema."""
        arguments = [{"sentence": person(f"json-{salt}-{i}")} for i in range(count)]
        states, seconds, counters = self._timed(lambda: programs.person_as_json.run_batch(arguments, num_threads=count))
        valid = sum(_is_valid(state.text_of("person")) for state in states)
        return Timing(seconds, counters["generated_tokens"], counters, {"valid": f"{valid}/{count}"})


def _is_valid(text: str) -> bool:
    try:
        jsonschema.validate(json.loads(text), PERSON)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True
