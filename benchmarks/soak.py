"""`python benchmarks/soak.py`: random programs on engines far too small for them; 1 where anything is wrong.

Programs fork, join, roll back, are constrained, cancelled and dropped; the pool retracts and evicts all the time; the
books are audited after every step; one engine follows the other, with every policy, eviction, page size and tier. A
violation is a ledger that is off, a program that does not end, one that comes to something else than it does alone on
a roomy engine, or anything held when all is over.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/soak.py", description=__doc__)
    parser.add_argument("--seconds", type=_positive, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round-seconds", type=_positive, default=4.0, help="of each engine")
    parser.add_argument("--hang-seconds", type=_positive, default=60.0, help="a program that takes longer hangs")
    parser.add_argument("--json", action="store_true", help="figures only, as JSON")
    options = parser.parse_args(arguments)
    report = soak(options.seconds, options.seed, options.round_seconds, options.hang_seconds, not options.json)
    print(json.dumps(report, indent=1) if options.json else _table(report))
    return int(report["violations"] > 0)


def soak(seconds: float, seed: int, round_seconds: float, hang_seconds: float, is_told: bool) -> dict[str, Any]:
    """Round after round; ends early at a violation, which the same seed and round are likely to show again."""
    from benchmarks.soaking.soak import Soak

    with tempfile.TemporaryDirectory() as name:
        running = Soak(seed, Path(name), round_seconds, hang_seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not running.violations:
            running.round(min(round_seconds, max(0.5, end - time.monotonic())))
            if is_told:
                print(running.told(), file=sys.stderr)
        return running.report()


def _table(report: dict[str, Any]) -> str:
    rows = [f"{name.replace('_', ' '):<16}{value:>14}" for name, value in report.items() if name != "found"]
    return "\n".join([*rows, *report["found"]])


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not allowed: a finite number above 0")
    return value


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # beside this file, grammars.py would hide the package
    raise SystemExit(main())
