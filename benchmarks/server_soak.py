"""`python benchmarks/server_soak.py`: a server under requests of every kind, half of which hang up; 1 if any fails.

The engine is in its own process, has a pool far too small for the load and audits its books after every step. Now and
then everybody pauses: then nothing may be held. At the end the memory of both processes is beside what it was early on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from benchmarks.serving.served import Served

PAUSE_EVERY = 30.0
QUIET_SECONDS = 20.0
SETTINGS = {"max_total_tokens": 1024, "audit": "step", "max_running_requests": 24, "chat_template": "chatml"}
HELD = ("request", "session", "in_transfer")


async def soak(server: Served, seconds: float, num_clients: int, seed: int) -> dict[str, Any]:
    from benchmarks.serving.clients import Clients

    rng = random.Random(seed)
    end = time.monotonic() + seconds
    early: float | None = None
    audits = 0
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(server.url, connector=connector) as http:
        clients = Clients(http, server.name, rng)

        async def client(until: float) -> None:
            while time.monotonic() < until and not clients.wrong:
                await clients.one()

        while (now := time.monotonic()) < end and not clients.wrong:
            until = min(end, now + PAUSE_EVERY)
            await asyncio.gather(*(client(until) for _ in range(num_clients)))
            info = await quiet(http)
            audits += 1
            held = {owner: info["stats"]["ledger"][owner] for owner in HELD if info["stats"]["ledger"][owner]}
            if held:
                clients.wrong.append(f"held when all is quiet: {held}")
            if info.get("engine_restarts"):
                clients.wrong.append("the engine died and was started again")
            early = early or server.megabytes
        stats = info["stats"]
    return {
        "violations": len(clients.wrong),
        "audits": audits,
        **dict(sorted(clients.counts.items())),
        "steps": stats["steps"],
        "retractions": stats["retractions"],
        "generated_tokens": stats["generated_tokens"],
        "megabytes_early": round(early or 0.0),
        "megabytes_end": round(server.megabytes),
        "seed": seed,
        "found": clients.wrong,
    }


async def quiet(http: aiohttp.ClientSession) -> dict[str, Any]:
    """What the server tells of itself once nobody uses it, or after some seconds in which somebody still does."""
    until = time.monotonic() + QUIET_SECONDS
    while True:
        async with http.get("/server_info") as answer:
            info: dict[str, Any] = await answer.json()
        stats = info["stats"]
        if not stats["running"] and not stats["waiting"] and not any(stats["ledger"][owner] for owner in HELD):
            return info
        if time.monotonic() > until:
            return info
        await asyncio.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/server_soak.py", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--clients", type=int, default=48, help="requests at once")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not 0 < options.seconds < float("inf") or options.clients < 1:
        parser.error("--seconds and --clients: finite numbers above 0 are allowed")
    from benchmarks.serving.served import Served
    from benchmarks.tiny_folder import tiny_folder

    with tempfile.TemporaryDirectory() as name:
        tiny_folder(Path(name))
        server = Served(name, Path(name), SETTINGS)
        try:
            report = asyncio.run(soak(server, options.seconds, options.clients, options.seed))
        finally:
            status = server.stop()
            server_log = server.log
    if status:
        report["found"].append(f"the server ended with status {status}")
        report["violations"] += 1
    if report["violations"]:
        print(server_log, file=sys.stderr)
    print(json.dumps(report, indent=1))
    return int(report["violations"] > 0)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # beside this file, grammars.py would hide the package
    sys.exit(main())
