"""Growth: how a decode step's time grows with the batch, with the context, and with who waits."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.engine.stepping import Stepping, prompt

__all__ = ["Line", "by_batch", "by_context", "fit", "queued"]

WARM = 3
PROMPT = 100
CONTEXTS = (100, 500, 1000, 2000, 3000, 4000)
BATCHES = (1, 2, 4, 8, 16, 24, 32, 48, 64)


@dataclass(frozen=True, slots=True)
class Line:
    """Milliseconds of a step against something, and the straight line through them.

    Attributes:
        what: against what.
        places, ms: what was measured.
        slope, intercept: of the line, in milliseconds.
        r2: the share of the variance that the line explains.
    """

    what: str
    places: tuple[float, ...]
    ms: tuple[float, ...]
    slope: float
    intercept: float
    r2: float


def fit(what: str, places: Sequence[float], ms: Sequence[float]) -> Line:
    """The line of least squares.

    Raises:
        ValueError: fewer than two different places.
    """
    slope, intercept = statistics.linear_regression(places, ms)
    mean = statistics.fmean(ms)
    total = sum((value - mean) ** 2 for value in ms)
    rest = sum((value - intercept - slope * place) ** 2 for place, value in zip(places, ms, strict=True))
    return Line(what, tuple(places), tuple(ms), slope, intercept, 1.0 if total == 0 else 1 - rest / total)


def by_batch(engine: Stepping, steps: int, batches: Sequence[int] = BATCHES) -> Line:
    """Decodes of short contexts, more and more of them."""
    ms = []
    for batch in batches:
        prompts = [prompt(PROMPT, f"profile-{place}") for place in range(batch)]
        ms.append(_step_ms(engine, prompts, steps))
    return fit("requests", batches, ms)


def by_context(engine: Stepping, steps: int, contexts: Sequence[int] = CONTEXTS) -> Line:
    """One decode of a longer and longer context: the prefixes of one text, so each computes only what is new."""
    text = prompt(max(contexts), "context")
    ms = [_step_ms(engine, [text[:length]], steps) for length in contexts]
    return fit("tokens of context", contexts, ms)


def _step_ms(engine: Stepping, prompts: Sequence[Sequence[int]], steps: int) -> float:
    requests = engine.begin(prompts, WARM + steps + 2)
    engine.seconds_of(WARM)
    ms = engine.step_ms(steps)
    engine.drop(requests)
    return ms


def queued(engine: Stepping, running: int, waiting: int, turns: int, steps: int) -> tuple[float, float]:
    """Median milliseconds of a step of `running` requests: alone, and while so many others wait for a place.

    By turns, since contexts grow; the engine must not have more than `running` places.
    """
    new_tokens = WARM + 2 * turns * (steps + WARM) + 2
    requests = engine.begin([prompt(PROMPT, f"profile-{place}") for place in range(running)], new_tokens)
    others = [prompt(PROMPT, f"waiting-{place}") for place in range(waiting)]
    alone, beside = [], []
    for _ in range(turns):
        engine.seconds_of(WARM)
        alone.append(engine.step_ms(steps))
        late = engine.ask(others, 1)
        engine.seconds_of(WARM)
        beside.append(engine.step_ms(steps))
        engine.drop(late)
    engine.drop(requests)
    return statistics.median(alone), statistics.median(beside)
