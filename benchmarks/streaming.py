"""`python -m benchmarks.streaming`: what streaming costs with the engine in this process and in one of its own.

Processor time of every process involved, per streamed token, with a model so small that it hardly counts. The server's
share is what this process spends where the engine has its own: it is all that HTTP can add to, and none of it is taken
from the step loop. Rounds of both engines alternate; the best of each is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.tiny_folder import tiny_folder
from runtime.engine import Engine
from runtime.sampling.params import SamplingParams
from runtime.server.local_engine import LocalEngine
from runtime.server.remote.remote_engine import RemoteEngine
from runtime.server.served_engine import ServedEngine

SETTINGS = {"max_total_tokens": 32768, "weight_format": "float32-torch", "attention": "torch"}
NEW = 200


async def one_stream(engine: ServedEngine, place: int) -> int:
    session = engine.open()
    session.append(f"{place}: ")
    params = SamplingParams(max_new_tokens=NEW, temperature=0.0, ignore_eos=True)
    handle = session.generate(params)
    session.close()
    count = 0
    async for chunk in handle:
        count += len(chunk.token_ids)
    return count


async def all_streams(engine: ServedEngine, num_streams: int) -> int:
    return sum(await asyncio.gather(*(one_stream(engine, place) for place in range(num_streams))))


def microseconds(engine: ServedEngine, num_streams: int, pid: int | None) -> tuple[float, float]:
    """Per token: of this process, and of the engine's own."""
    there: Callable[[], float] = lambda: 0.0 if pid is None else sum(psutil.Process(pid).cpu_times()[:2])  # noqa: E731
    here, other = time.process_time(), there()
    tokens = asyncio.run(all_streams(engine, num_streams))
    return 1e6 * (time.process_time() - here) / tokens, 1e6 * (there() - other) / tokens


def measure(local: ServedEngine, remote: RemoteEngine, num_streams: int, rounds: int) -> dict[str, Any]:
    inside, outside = [], []
    for _ in range(rounds):
        inside.append(sum(microseconds(local, num_streams, None)))
        outside.append(microseconds(remote, num_streams, remote.engine_pid))
    both = min(map(sum, outside))
    return {
        "streams": num_streams,
        "in process": min(inside),
        "own process": both,
        "ratio": both / min(inside),
        "server's share": min(share for share, _ in outside),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tiny_folder(Path(folder))
        name = os.fspath(folder)
        with Engine(name, **SETTINGS) as engine, RemoteEngine(name, **SETTINGS) as remote:
            local = LocalEngine(engine)
            print("processor time per streamed token, µs")
            for num_streams in (1, 64):
                row = measure(local, remote, num_streams, options.rounds)
                print(
                    "  ".join(
                        f"{key} {value:g}" if key == "streams" else f"{key} {value:.2f}" for key, value in row.items()
                    )
                )


if __name__ == "__main__":
    main()
