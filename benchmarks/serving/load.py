"""`python -m benchmarks.serving.load URL`: requests of every kind, until its input ends.

In a process of its own, so that its work is not in the latencies that another measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

from benchmarks.serving.clients import Clients

__all__ = ["loaded"]

LONGEST = 300.0


async def _run(url: str, model: str, num_clients: int, seed: int) -> dict[str, Any]:
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:
        clients = Clients(http, model, random.Random(seed), longest=LONGEST)

        async def client() -> None:
            while not ended.done():
                await clients.one()

        await asyncio.gather(*(client() for _ in range(num_clients)))
    return {"wrong": clients.wrong, **clients.counts}


def main() -> None:
    """Prints one JSON object at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--model", required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_run(options.url, options.model, options.clients, options.seed))))


@contextmanager
def loaded(url: str, model: str, num_clients: int) -> Iterator[dict[str, Any]]:
    """A load while the block runs; afterwards, in what it yielded, how many requests of which kind there were.

    Raises:
        RuntimeError: something was answered as it should not have been.
    """
    command = [sys.executable, "-m", "benchmarks.serving.load", url, "--model", model, "--clients", str(num_clients)]
    counts: dict[str, Any] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as popen:
        yield counts
        counts |= json.loads(popen.communicate()[0])
    if wrong := counts.pop("wrong"):
        raise RuntimeError(f"under load: {wrong}")


if __name__ == "__main__":
    main()
