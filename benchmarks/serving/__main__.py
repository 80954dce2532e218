"""`python -m benchmarks.serving`: what the server bears, and what it costs. About four minutes on two cores.

What is compared is measured in turn, in the same call: with aiohttp alone, with the same server without the burden, or
with the engine in this process. Rates depend on what else the machine does; ratios and processor times hardly.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import aiohttp
import psutil

from benchmarks.report import Report, Row
from benchmarks.serving import idle, remote_program
from benchmarks.serving.latency import Latency, health, repeated
from benchmarks.serving.load import loaded
from benchmarks.serving.mock_server import KINDS, LOOPS
from benchmarks.serving.served import Served
from benchmarks.serving.streams import Streamed, mock_server, stream
from benchmarks.tiny_folder import tiny_folder
from runtime.engine import Engine

STREAMS, STREAM_TOKENS = 512, 100
FEW_STREAMS, FEW_STREAM_TOKENS = 64, 200
CONNECTIONS = 2_000
LOAD, LOAD_SECONDS = 64, 30.0
PROBE_SECONDS = 0.02
TINY = MappingProxyType({"max_total_tokens": 32768, "weight_format": "float32-torch", "attention": "torch"})
REAL = MappingProxyType({"max_total_tokens": 16384})


def streams(report: Report, repeat: int) -> None:
    """Many streams from an engine that costs nothing, beside aiohttp alone."""
    for loop in LOOPS:
        rounds: dict[str, list[Streamed]] = {kind: [] for kind in KINDS}
        for _ in range(repeat):
            for kind, found in rounds.items():
                with mock_server(kind, loop) as (url, process):
                    found.append(asyncio.run(stream(url, process, STREAMS, STREAM_TOKENS)))
        ours, bare = rounds["sgdsl"], rounds["bare"]
        rate = max(one.rate for one in ours)
        report.add(_beside(f"{STREAMS} streams, {loop}: tok/s, best", ours, bare, lambda one: one.rate, 8_000, rate))
        report.add(_beside("  server's processor time, µs a token", ours, bare, lambda one: one.microseconds))
        report.add(_beside("  reads of the client, a token", ours, bare, lambda one: one.pieces / one.tokens))


def _beside(
    what: str,
    ours: Sequence[Streamed],
    bare: Sequence[Streamed],
    figure: Callable[[Streamed], float],
    at_least: float | None = None,
    best: float | None = None,
) -> Row:
    """A row of medians, or of the best where a goal is to be reached; the ratio is the median of the turns'."""
    ratio = statistics.median(figure(one) / figure(other) for one, other in zip(ours, bare, strict=True))
    if at_least is None or best is None:
        return Row(what, *(statistics.median(map(figure, side)) for side in (ours, bare)), ratio)
    return Row(what, best, max(map(figure, bare)), ratio, f">= {at_least:g}", best >= at_least)


def overhead(report: Report, repeat: int) -> None:
    """What HTTP adds to a token of a real engine in its own process."""
    more = {"regex": f"[a-z]{{{FEW_STREAM_TOKENS}}}"}  # a character a token, so that each is an event
    with tempfile.TemporaryDirectory() as folder:
        tiny_folder(Path(folder))
        with Served(folder, Path(folder), TINY) as served:
            found = [
                asyncio.run(stream(served.url, served.process, FEW_STREAMS, FEW_STREAM_TOKENS, more))
                for _ in range(repeat + 1)
            ][1:]
    cost = statistics.median(one.microseconds for one in found)
    report.below(f"{FEW_STREAMS} streams: processor time beside the engine, µs a token", cost, 100)


def connections(report: Report, repeat: int) -> None:
    """Many connections that ask nothing."""
    with tempfile.TemporaryDirectory() as folder:
        tiny_folder(Path(folder))
        with Served(folder, Path(folder), TINY) as served:
            found = asyncio.run(idle.measure(served, CONNECTIONS))
    alive = f"= {CONNECTIONS}"
    report.add(Row(f"{CONNECTIONS} idle connections: still answer", found.alive, None, None, alive,
                   found.alive == CONNECTIONS))  # fmt: skip
    report.add(Row("  memory of the server, KiB each", found.kilobytes))
    for name, (without, beside) in (("/health", found.health), ("four tokens", found.completion)):
        report.add(Row(f"  {name} beside them (without), p50, ms", beside.p50, without.p50, beside.p50 / without.p50))
        report.add(Row(f"  {name} beside them (without), p99, ms", beside.p99, without.p99, beside.p99 / without.p99))


def under_load(report: Report, repeat: int) -> None:
    """Whether the server still says that it lives, while the default model works on all kinds of requests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Served("smollm2", Path(folder), REAL) as served,
        loaded(served.url, served.name, LOAD) as counts,
    ):
        found = asyncio.run(_probed(served.url, LOAD_SECONDS))
    report.below(f"/health beside {LOAD} mixed requests: p99, ms", found.p99, 50)
    report.add(Row("  p50, ms", found.p50))
    report.add(Row("  longest, ms", found.most))
    report.add(Row(f"  requests begun meanwhile, probes {found.count}", counts["requests"]))


async def _probed(url: str, seconds: float) -> Latency:
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession(url) as http:
        return await repeated(partial(health, http), lambda _: time.monotonic() < until, PROBE_SECONDS)


def program(report: Report, repeat: int) -> None:
    """The same program with the engine here and on a server."""
    turns = 5 * repeat
    with (
        tempfile.TemporaryDirectory() as folder,
        Served("smollm2", Path(folder), REAL) as served,
        Engine("smollm2", **REAL) as engine,
    ):
        found = remote_program.compare(engine, served, turns)
    here, there = (sorted(turn.seconds[side] for turn in found) for side in (0, 1))
    medians = statistics.median(here), statistics.median(there)
    report.add(Row("a program on the server (here), median, s", medians[1], medians[0]))
    report.below("  on the server / here, median", medians[1] / medians[0], 1.1)
    report.add(Row("  … fastest of each", there[0] / here[0]))
    processor = statistics.median(turn.processor[1] / turn.processor[0] for turn in found)
    report.add(Row("  … processor time of all processes, median", processor))
    computed = tuple(sum(turn.computed[side] for turn in found) for side in (0, 1))
    same = all(turn.computed[0] == turn.computed[1] for turn in found)
    report.add(Row("  prompt tokens computed on the server (here)", computed[1], computed[0], None, "the same", same))
    num_same = sum(turn.is_same for turn in found)
    report.add(Row("  turns with the same texts", num_same, None, None, f"= {turns}", num_same == turns))


PARTS: MappingProxyType[str, Callable[[Report, int], None]] = MappingProxyType(
    {
        "streams": streams,
        "overhead": overhead,
        "connections": connections,
        "under_load": under_load,
        "program": program,
    }
)


def main() -> None:
    """Measures what is asked for; the table is printed, and saved as JSON where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    chosen = options.only.split(",")
    for name in chosen:
        if name not in PARTS:
            parser.error(f"--only: {name!r} is not one of {', '.join(PARTS)}")
    if options.repeat < 1:
        parser.error(f"--repeat {options.repeat}: at least 1")
    load = f"{psutil.cpu_percent(interval=1.0):.0f} %, {os.getloadavg()[0]:.1f} waiting"
    report = Report({"cores": str(os.cpu_count()), "background load": load}, peer="beside it")
    for name in chosen:
        PARTS[name](report, options.repeat)
    if options.json is not None:
        report.save(options.json)


if __name__ == "__main__":
    main()
