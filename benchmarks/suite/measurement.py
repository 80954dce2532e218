"""Measurement: one run of a workload on one side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

import sgdsl as sg
from benchmarks.suite.side import Side
from benchmarks.suite.workload import Items, Workload
from sgdsl.usage import Usage

__all__ = ["Measurement", "failed", "measure", "median"]

LOAD_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a workload took.

    Attributes:
        seconds: of the clock, from the first program's start to the last one's end.
        cpu_seconds: of the side's processes; None where they cannot be seen.
        prompt_tokens, generated_tokens, forced_tokens: as the side tells them, of each call.
        cached_tokens: of the prompts' tokens, those that were not computed. Our engine counts the others; of a peer,
            as its answers tell.
        load: share of all processors that somebody was using just before, when nobody who is measured was.
        remark: the workload's own. error: why it has failed; then nothing else counts.
    """

    seconds: float = 0.0
    cpu_seconds: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    forced_tokens: int = 0
    load: float = 0.0
    remark: str = ""
    error: str | None = None

    @property
    def cached_rate(self) -> float:
        """Share of the prompts' tokens that needed no computing."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Generated ones."""
        return self.generated_tokens / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self)


def measure(workload: Workload, items: Items, side: Side, timeout: float) -> Measurement:
    """Runs a workload. What goes wrong is in the result: a side that fails is not one that is left out.

    Args:
        timeout: seconds that a program may take.
    """
    backend = side.backend(is_chat=workload.is_chat)
    fixed = {"ignore_eos": True} if "ignore_eos" in backend.capabilities.gen_options else {}
    load = psutil.cpu_percent(interval=LOAD_SECONDS) / 100
    cpu, computed = side.cpu_seconds(), side.computed_tokens()
    with sg.usage() as account:
        start = time.perf_counter()
        try:
            states = workload.program.run_batch(items, backend=backend, timeout=timeout, temperature=0, **fixed)
            seconds = time.perf_counter() - start
            remark = workload.remark(list(states))
        except Exception as error:
            return failed(error, load=load)
    after, spent = side.cpu_seconds(), account.total
    return Measurement(
        seconds=seconds, cpu_seconds=None if cpu is None or after is None else after - cpu,
        prompt_tokens=spent.prompt_tokens, cached_tokens=_cached(spent, side, computed),
        generated_tokens=spent.generated_tokens, forced_tokens=spent.forced_tokens, load=load, remark=remark,
    )  # fmt: skip


def _cached(spent: Usage, side: Side, before: int | None) -> int:
    after = side.computed_tokens()
    if before is None or after is None:
        return spent.cached_tokens
    return max(0, spent.prompt_tokens - (after - before))


def failed(error: Exception, load: float = 0.0) -> Measurement:
    """A run that came to nothing."""
    cause = error.__cause__ if isinstance(error, sg.ProgramError) and error.__cause__ is not None else error
    words = " ".join(str(cause).split()) or repr(cause)
    return Measurement(error=f"{type(cause).__name__}: {words}"[:300], load=load)


def median(runs: Sequence[Measurement]) -> Measurement:
    """The run whose seconds are the median's (the longer of two in the middle); one that failed, if any has."""
    for run in runs:
        if run.error is not None:
            return run
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
