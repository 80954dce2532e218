"""Load: one program many times at once, and what that came to."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdsl.cli.errors import UsageError
from sgdsl.cli.failure import one_line
from sgdsl.cli.meter import Meter
from sgdsl.cli.report import usage_entry
from sgdsl.program import Program
from sgdsl.usage import Usage

__all__ = ["check_load", "load"]


def check_load(options: argparse.Namespace) -> None:
    """Refuses what does not go together with `--num-programs`.

    Raises:
        UsageError: it is no positive number, or something else is asked for besides.
    """
    if options.num_programs is not None and options.num_programs < 1:
        raise UsageError(f"--num-programs {options.num_programs}: a number of at least 1 is needed")
    if options.num_programs is not None and (options.events or options.dry_run):
        raise UsageError("--num-programs prints figures: neither --events nor --dry-run goes with it")


def load(
    program: Program, backend: Meter, args: Sequence[Any], kwargs: Mapping[str, Any], path: Path,
    options: argparse.Namespace,
) -> int:  # fmt: skip
    """Runs `options.num_programs` of a program, as many at once as the backend serves; returns the exit code."""
    seconds: list[float] = []
    timed = _timed(program.bind(**kwargs), seconds)
    bar = sys.stderr.isatty() and not options.quiet
    begun = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):  # figures are all that goes to stdout
        results = timed.run_batch(
            [tuple(args)] * options.num_programs, backend=backend, progress_bar=bar, return_exceptions=True,
            record=options.record,
        )  # fmt: skip
    figures = _figures(list(results), seconds, backend.usage(), time.monotonic() - begun)
    print(json.dumps(figures, indent=2) if options.json else _written(figures), flush=True)
    failure = next((result for result in results if isinstance(result, BaseException)), None)
    if failure is None:
        return 0
    print(f"sgdsl: {figures['failed']} failed, the first: {one_line(failure, path)}", file=sys.stderr)
    return 1


def _timed(program: Program, seconds: list[float]) -> Program:
    """The program, with the seconds from its begin until all it asked for was there."""
    lock = threading.Lock()

    def note(begun: float) -> None:
        with lock:
            seconds.append(time.monotonic() - begun)

    func: Callable[..., Any] = program.func

    @functools.wraps(func)
    def plain(s: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        value = func(s, *args, **kwargs)
        s.sync()
        note(begun)
        return value

    @functools.wraps(func)
    async def awaited(s: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        value = await func(s, *args, **kwargs)
        await s.wait()
        note(begun)
        return value

    return Program(
        awaited if program.is_async else plain, bound=program.bound, num_api_spec_tokens=program.num_api_spec_tokens
    )


def _figures(results: Sequence[Any], seconds: Sequence[float], usage: Usage, wall: float) -> dict[str, Any]:
    failed = sum(isinstance(result, BaseException) for result in results)
    return {
        "programs": len(results),
        "failed": failed,
        "programs_per_second": round((len(results) - failed) / wall, 3),
        "generated_tokens_per_second": round(usage.generated_tokens / wall, 1),
        "cached_share": round(usage.cached_tokens / max(1, usage.prompt_tokens), 4),
        "latency_seconds": {name: _quantile(seconds, share) for name, share in (("p50", 0.5), ("p90", 0.9))},
        "usage": usage_entry(usage, wall),
    }


def _quantile(values: Sequence[float], share: float) -> float | None:
    """The least value that this share of them does not exceed."""
    ordered = sorted(values)
    return round(ordered[math.ceil(share * len(ordered)) - 1], 3) if ordered else None


def _written(figures: Mapping[str, Any]) -> str:
    done, usage, latency = figures["programs"] - figures["failed"], figures["usage"], figures["latency_seconds"]
    lines = [
        f"{done} programs in {usage['seconds']:.1f} s: {figures['programs_per_second']:.2f} programs/s, "
        f"{figures['generated_tokens_per_second']:.0f} tokens/s generated",
        f"{usage['prompt_tokens']} prompt tokens, {figures['cached_share']:.0%} of them cached",
    ]
    if done:
        lines.append(f"latency of a program: p50 {latency['p50']:.2f} s, p90 {latency['p90']:.2f} s")
    return "\n".join(lines)
