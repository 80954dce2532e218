"""What a step costs besides the model: scheduling, settling and detokenizing, and greedy sampling, at 64 requests."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from runtime.batch import ForwardBatch
from runtime.config import EngineConfig
from runtime.core import EngineCore
from runtime.engine import Engine
from runtime.handle import Generation, Handle
from runtime.sampling.params import SamplingParams
from runtime.sampling.row import SamplingRow
from runtime.sampling.sampler import Sampler
from runtime.script import Append, Generate
from runtime.session_state import SessionState


class _InstantRunner:
    """Answers every batch with the same logits at once: what is left is the step's own cost."""

    def __init__(self, vocab_size: int, rows: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self._logits = torch.randn(rows, vocab_size, generator=generator)

    def run(self, batch: ForwardBatch) -> torch.Tensor:
        return self._logits[: len(batch.logit_rows)].clone()

    def copy_slots(self, pairs: Any) -> None:
        """Nothing to copy."""


def sampling_ms(vocab_size: int, rows: int = 64, repeat: int = 30) -> float:
    """Median milliseconds of a greedy pass over `rows` rows of logits."""
    sampler = Sampler(vocab_size)
    params = SamplingParams(temperature=0.0)
    batch = [SamplingRow(params, prompt_ids=(), end_tokens=(), seed=0) for _ in range(rows)]
    logits = torch.randn(rows, vocab_size)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        sampler.sample(logits, batch)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def overhead_ms(engine: Engine, rows: int = 64, steps: int = 200) -> float:
    """Median milliseconds of a decode step of `rows` requests without the model and without sampling."""
    core = engine._core  # the benchmark replaces the runner, which no user can
    own = EngineCore(
        EngineConfig(), core.budget, engine._assembled.runner, engine.tokenizer, core._compilation._compiler
    )
    own._stepper._runner = _InstantRunner(engine.tokenizer.vocab_size, rows)  # type: ignore[assignment]
    spent = {"sampling": 0.0}
    sample, run = own._stepper._sampler.sample, own._stepper._runner.run

    def timed(function: Any, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments)
        spent["sampling"] += time.perf_counter() - start
        return result

    own._stepper._sampler.sample = lambda *a: timed(sample, *a)  # type: ignore[method-assign]
    own._stepper._runner.run = lambda *a: timed(run, *a)  # type: ignore[method-assign]
    params = SamplingParams(temperature=0.0, max_new_tokens=steps + 20, ignore_eos=True)
    for i in range(rows):
        session = SessionState("", "")
        own.sessions.take_up(session)
        handle: Handle[Generation] = Handle()
        own.enqueue(session, [Append([1000 + i] * 200), Generate(params, handle)])
    times = []
    for _ in range(steps):
        spent["sampling"] = 0.0
        start = time.perf_counter()
        own.step()
        times.append(1e3 * (time.perf_counter() - start - spent["sampling"]))
    own._compilation.shutdown()
    return statistics.median(times[-steps // 2 :])
