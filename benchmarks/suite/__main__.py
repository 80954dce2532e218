"""`python -m benchmarks.suite`: programs on our engine, on our server, and on other servers of the OpenAI API.

The same programs run everywhere, greedily; where a server can be told to go on behind an end token, every gen has the
same length on all sides. Prompts begin with a salt, so that no cache is warm but for what a workload itself shares.
Sides are measured in turn; the others are idle meanwhile. Medians are shown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.suite.catalogue import WORKLOADS
from benchmarks.suite.chart import draw
from benchmarks.suite.comparison import Comparison
from benchmarks.suite.folder import read_folder
from benchmarks.suite.generated import generated
from benchmarks.suite.peer import PeerSide, PeerUnusable, peers_of
from benchmarks.suite.results import save
from benchmarks.suite.side import EngineSide, ServerSide, Side
from benchmarks.suite.size import SIZES
from benchmarks.suite.table import closing, head, rows
from benchmarks.suite.turns import take_turns
from benchmarks.suite.workload import Workload
from sgdsl.cli.errors import UsageError
from sgdsl.cli.settings import engine_settings

__all__ = ["main"]

OURS = ("engine", "server")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=__doc__)
    parser.add_argument("--peers", default="", help="name=url …: servers that are running already")
    parser.add_argument(
        "--ours", default="engine", help=f"out of {', '.join(OURS)}, by commas; the first is compared with"
    )
    parser.add_argument("--server-url", help="of our server, if one is running; otherwise it is started")
    parser.add_argument("--api-key", help="what the servers ask for")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, by commas")
    parser.add_argument("--size", choices=tuple(SIZES), default="full")
    parser.add_argument("--data", type=Path, help="a folder of data sets; otherwise data are generated")
    parser.add_argument("--seed", type=int, default=0, help="of generated data")
    parser.add_argument("--model", default="smollm2", help="of our sides")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of our engine")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for each program")
    parser.add_argument("--salt", default="", help="by default the time")
    parser.add_argument("--out", type=Path, default=Path("bench-results/suite.json"))
    parser.add_argument("--chart", type=Path, help="by default beside --out, as PNG")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and reports; 1 if anything of ours has failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    chosen = _chosen(parser, "--only", options.only, tuple(WORKLOADS))
    ours = _chosen(parser, "--ours", options.ours, OURS)
    if options.repeat < 1:
        parser.error(f"--repeat {options.repeat}: at least 1")
    try:
        settings = engine_settings(options.model, options.set)
    except UsageError as error:
        parser.error(str(error))
    try:
        source = read_folder(options.data) if options.data else generated(options.seed)
    except (OSError, ValueError) as error:
        parser.error(f"--data: {error}")
    salt = options.salt or time.strftime("%y%m%d%H%M%S")
    with ExitStack() as stack:
        try:
            sides = _sides(options, ours, settings, stack)
        except PeerUnusable as error:
            parser.error(f"--peers: {error}")
        for side in sides:
            print(f"{side.name}: {side.about}", flush=True)
        print(f"data: {source.name}; size {options.size}, {options.repeat} turns\n\n{head()}", flush=True)
        abouts = {side.name: side.about for side in sides}
        told = {"sides": abouts, "size": options.size, "repeat": options.repeat, "data": source.name, "salt": salt}

        def tell(workload: Workload, so_far: Comparison) -> None:
            print(rows(workload, so_far), flush=True)
            save(so_far, told, options.out)  # what was measured outlives a run that is broken off

        comparison = take_turns(
            [WORKLOADS[name] for name in chosen], sides, source, SIZES[options.size], salt=salt,
            repeat=options.repeat, timeout=options.timeout, on_end=tell,
        )  # fmt: skip
    print(f"\n{closing(comparison)}")
    chart = options.chart or options.out.with_suffix(".png")
    draw(comparison, f"Program suite, {options.size}, median of {options.repeat}; {source.name}", chart)
    print(f"\nwritten to {options.out} and {chart}")
    failures = [run for name in comparison.runs for side, run in comparison.medians(name).items() if side in ours]
    return 1 if any(run.error is not None for run in failures) else 0


def _sides(options: argparse.Namespace, ours: Sequence[str], settings: dict[str, Any], stack: ExitStack) -> list[Side]:
    """Peers are asked first: whoever cannot be reached is told before a model is loaded."""
    peers: list[Side] = []
    for name, url in peers_of(options.peers):
        peers.append(PeerSide(name, url, api_key=options.api_key, timeout=options.timeout))
        stack.callback(peers[-1].close)
    sides: list[Side] = []
    for name in ours:
        if name == "engine":
            sides.append(EngineSide(settings))
        else:
            sides.append(ServerSide(settings, options.server_url, options.api_key))
        stack.callback(sides[-1].close)
    return sides + peers


def _chosen(parser: argparse.ArgumentParser, option: str, text: str, known: Sequence[str]) -> list[str]:
    names = [name for name in dict.fromkeys(text.split(",")) if name]
    for name in names:
        if name not in known:
            parser.error(f"{option}: {name!r} is not one of {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
