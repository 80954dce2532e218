"""Parts: what of a step's time is spent in which phase of its kernels, and in what around them."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass

from benchmarks.engine.clock import Clock
from benchmarks.engine.stepping import Stepping, prompt
from runtime.output import Output

__all__ = ["Outside", "Profile", "outside", "profile"]

PROMPT = 100
WARM = 8
"""Steps before any is measured."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of a decode step goes.

    Attributes:
        batch: requests.
        ms: whole, of the median step.
        kernels, around: milliseconds of each phase of the step's function, and of each part outside of it.
    """

    batch: int
    ms: float
    kernels: dict[str, float]
    around: dict[str, float]

    def rows(self) -> list[tuple[str, float, float]]:
        """(part, milliseconds, share of the sum), kernels first."""
        parts = [*self.kernels.items(), *self.around.items()]
        whole = sum(ms for _, ms in parts)
        return [(name, ms, ms / whole) for name, ms in parts]


@dataclass(frozen=True, slots=True)
class Outside:
    """What a decode step costs outside of its kernels: medians in milliseconds.

    Attributes:
        batch: requests.
        wall: by the clock on the wall.
        processor: what the engine's thread computed in that time: the same on a free machine, and on a crowded one
            what it would be on a free one.
    """

    batch: int
    wall: float
    processor: float

    @property
    def goal(self) -> float:
        """1 ms, and 20 microseconds a request."""
        return 1.0 + 0.02 * self.batch


def profile(engine: Stepping, batch: int, steps: int) -> Profile:
    """Runs `batch` decodes for so many steps with every part timed."""
    requests = engine.begin(_prompts(batch), WARM + steps + 2)
    engine.seconds_of(WARM)
    whole = engine.runner._model._step  # the benchmark looks inside, which no user can
    times: list[float] = []
    kernels: dict[str, list[float]] = defaultdict(list)
    around: dict[str, list[float]] = defaultdict(list)
    with Clock() as clock:
        _watch(clock, engine)
        for _ in range(steps):
            clock.reset()
            begin = time.perf_counter()
            shares = {"kernels": 1.0} if whole is None else whole.profile(engine.core.step)
            times.append(1e3 * (time.perf_counter() - begin))
            for name, share in shares.items():
                kernels[name].append(1e3 * share * clock.spent["kernels"])
            for name, spent in clock.spent.items():
                around[name].append(1e3 * spent)
    engine.drop(requests)
    del around["kernels"]
    medians = [{name: statistics.median(ms) for name, ms in part.items()} for part in (kernels, around)]
    return Profile(batch, statistics.median(times), *medians)


def outside(engine: Stepping, batch: int, steps: int) -> Outside:
    """Runs `batch` decodes for so many steps with nothing timed but the kernels and the whole."""
    requests = engine.begin(_prompts(batch), WARM + steps + 2)
    engine.seconds_of(WARM)
    wall, processor = [], []
    with Clock() as clock, Clock(time.thread_time) as own_clock:
        clock.watch(engine.team, "run", "kernels")
        own_clock.watch(engine.team, "run", "kernels")
        for _ in range(steps):
            clock.reset()
            own_clock.reset()
            begin, own = time.perf_counter(), time.thread_time()
            engine.core.step()
            wall.append(1e3 * (time.perf_counter() - begin - clock.spent["kernels"]))
            processor.append(1e3 * (time.thread_time() - own - own_clock.spent["kernels"]))
    engine.drop(requests)
    return Outside(batch, statistics.median(wall), statistics.median(processor))


def _watch(clock: Clock, engine: Stepping) -> None:
    stepper, runner = engine.core._stepper, engine.runner
    clock.watch(engine.core, "step", "books and the rest of the loop")
    clock.watch(engine.core.scheduler, "plan", "scheduling")
    clock.watch(stepper._batcher, "build", "batch building")
    clock.watch(stepper._sampler.masks, "begin", "masks")
    clock.watch(runner, "run", "the rest of the model's Python")
    clock.watch(runner._attention, "prepare", "attention.prepare")
    clock.watch(engine.team, "run", "kernels")
    clock.watch(stepper._sampler, "sample", "sampling")
    clock.watch(stepper, "_settle", "settling")
    clock.watch(Output, "push", "detokenizing and stop rules")


def _prompts(batch: int) -> list[list[int]]:
    return [prompt(PROMPT, f"profile-{place}") for place in range(batch)]
