"""Serve: `sgdsl bench serve`. A load on a server of OpenAI's API, and what that came to."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sgdsl.cli.bench.client import Client
from sgdsl.cli.bench.curves import curves
from sgdsl.cli.bench.figures import Slo, figures
from sgdsl.cli.bench.load import Load, Plan
from sgdsl.cli.bench.result import Result, differences, read_result
from sgdsl.cli.bench.sample import Sample
from sgdsl.cli.bench.table import compared, lines
from sgdsl.cli.bench.workload import Shape, scripts
from sgdsl.cli.errors import CommandError, UsageError

__all__ = ["bench_serve"]

NUM_SCRIPTS, CONCURRENCY = 100, 8
"""Where nothing else is said."""
WARM_UP_SEED = -1
LOAD = ("workload", "rate", "concurrency", "num_requests", "seconds", "prompt_tokens", "new_tokens", "seed")
"""Options that say what was asked, which is saved with what came of it."""


def bench_serve(options: argparse.Namespace) -> int:
    """Measures, prints and saves; returns the exit code, which is 1 when any request failed.

    Raises:
        CommandError: it cannot begin, or what was found cannot be written.
    """
    _check(options)
    for name in (options.json, options.plot):
        _check_place(name)
    if options.plot is not None:
        _check_drawing()
    others = [read_result(Path(name)) for name in options.compare]
    found, samples = asyncio.run(_measure(options))
    print("\n".join(lines(found)), flush=True)
    if others:
        own = msgspec.convert(found, Result)
        print("\n".join(["", *compared(own, others)]), flush=True)
        for line in differences(own, others):
            _say(line, options)
    _save(found, others, options)
    failed = next((sample for sample in samples if sample.error is not None), None)
    if failed is None:
        return 0
    print(f"sgdsl: {found['failed']} failed, the first: {failed.error}: {failed.detail}", file=sys.stderr)
    return 1


def _check(options: argparse.Namespace) -> None:
    for name in ("concurrency", "num_requests", "prompt_tokens", "new_tokens"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: a number of at least 1 is needed")
    if options.warm_up < 0:
        raise UsageError(f"--warm-up {options.warm_up}: a number of at least 0 is needed")
    for name in ("rate", "seconds", "timeout", "slo_ttft_ms", "slo_itl_ms"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} {value}: a number above 0 is needed")
    if not options.url.startswith(("http://", "https://")):
        raise UsageError(f"--url {options.url}: it begins with http:// or https://")


def _check_place(name: str | None) -> None:
    """Whether a file can be written there, before minutes are spent on what is to be in it."""
    folder = Path(name or ".").parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{name}: there is no folder {folder} to write it to")


def _check_drawing() -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError('--plot: matplotlib is missing; pip install "sgdsl[tune]" brings it')


async def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[Sample]]:
    key = options.api_key or os.environ.get("OPENAI_API_KEY") or None
    shape = Shape(options.prompt_tokens, options.new_tokens)
    async with Client(options.url, key, options.timeout) as client:
        model = await client.model(options.model)
        if options.warm_up:
            await _warm_up(client, options, model, shape)
        load = Load(
            client, scripts(options.workload, model, shape, options.seed), _plan(options), options.seed, _told(options)
        )
        wall, cpu = time.monotonic(), time.process_time()
        samples = await load.run()
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    if load.has_given_up:
        _say("the server is gone: given up", options)
    found = {
        "label": options.label or model,
        "url": client.url,
        "model": model,
        "load": {name: getattr(options, name) for name in LOAD},
        "gave_up": load.has_given_up,
        **figures(samples, _slo(options)),
        "client": {"cpu_seconds": cpu, "cores": cpu / wall if wall else 0.0},
        "curves": curves(samples),
    }
    return found, samples


async def _warm_up(client: Client, options: argparse.Namespace, model: str, shape: Shape) -> None:
    """A few requests that do not count and are like none that does."""
    _say(f"{model} at {client.url}: {options.workload}, {options.warm_up} to warm up", options)
    plan = Plan(concurrency=options.warm_up, rate=None, num_scripts=options.warm_up, seconds=None)
    load = Load(client, scripts(options.workload, model, shape, WARM_UP_SEED), plan, 0, lambda _: None)
    failed = next((sample for sample in await load.run() if sample.error is not None), None)
    if failed is not None:
        raise CommandError(f"{client.url}: {failed.error} to the first requests: {failed.detail}")


def _plan(options: argparse.Namespace) -> Plan:
    concurrency = options.concurrency if options.rate is None else None
    if options.rate is None and concurrency is None:
        concurrency = CONCURRENCY
    count = options.num_requests
    if count is None and options.seconds is None:
        count = NUM_SCRIPTS
    return Plan(concurrency=concurrency, rate=options.rate, num_scripts=count, seconds=options.seconds)


def _slo(options: argparse.Namespace) -> Slo:
    first, token = options.slo_ttft_ms, options.slo_itl_ms
    return Slo(None if first is None else first / 1000, None if token is None else token / 1000)


def _told(options: argparse.Namespace) -> Callable[[Sample], None]:
    """Counts what has come, on a terminal alone."""
    if options.quiet or not sys.stderr.isatty():
        return lambda _: None
    done = 0

    def tell(_: Sample) -> None:
        nonlocal done
        done += 1
        print(f"\r{done} requests", end="", file=sys.stderr, flush=True)

    return tell


def _save(found: dict[str, Any], others: Sequence[Result], options: argparse.Namespace) -> None:
    try:
        if options.json is not None:
            Path(options.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if options.plot is not None:
            from sgdsl.cli.bench.picture import draw

            results = [msgspec.convert(found, Result), *others]
            draw(results, _slo(options), _title(found, others, options), Path(options.plot))
    except OSError as error:
        raise CommandError(f"what was found cannot be written: {error}") from error


def _title(found: dict[str, Any], others: Sequence[Result], options: argparse.Namespace) -> list[str]:
    load = options.workload
    load += f", {options.rate:g} a second" if options.rate else f", {options.concurrency or CONCURRENCY} at once"
    load += f", prompts of about {options.prompt_tokens} tokens, {options.new_tokens} new ones"
    if not others:
        came = f"{found['completed']} of {found['requests']} requests, {found['new_tokens_per_second']:.1f} tokens/s"
        return [f"{found['model']} at {found['url']}", f"{load}: {came}"]
    runs = [msgspec.convert(found, Result), *others]
    if all(one.completed == one.requests for one in runs):
        answered = "all requests answered"
    else:
        answered = "answered " + ", ".join(f"{one.completed} of {one.requests}" for one in runs)
    return [", ".join(one.label for one in runs), f"{load}: {answered}"]


def _say(line: str, options: argparse.Namespace) -> None:
    if not options.quiet:
        print(f"sgdsl: {line}", file=sys.stderr, flush=True)
