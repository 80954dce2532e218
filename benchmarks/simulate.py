"""`python benchmarks/simulate.py`: what each policy makes of a trace of requests, without a network.

The pool, the tree and the scheduler are the runtime's own; the time a step takes comes of a cost model. Programs arrive
at 0.9 of the rate that `lru+fcfs` sustains, or at `--rate`; a trace from a file keeps its own times unless a rate is
given. Everybody in the comparison is named `[EVICTION+]POLICY[@CLIENT]`; see `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.simulation.outcome import Outcome
    from benchmarks.simulation.trace import Program

LOAD = 0.9
MARGIN = 64
BASE = "lru+fcfs"
CHOICES = (BASE, "lru+lpm", "lru+dfs-weight", "lru+fcfs@sessions", "program@requests", "lru+program", "program")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/simulate.py", description=__doc__)
    parser.add_argument(
        "--trace",
        default="programs",
        help="programs, multi-turn, documents, or a file of JSON lines of a real server",
    )
    parser.add_argument("--requests", type=_positive, default=10_000, help="gens to simulate, at least")
    parser.add_argument(
        "--pool-fraction", type=_fraction, default=0.25, help="of all that is read and written; at least one request's"
    )
    parser.add_argument("--pool-tokens", type=_positive, help="slots of the pool, instead")
    parser.add_argument("--rate", type=_fraction, help="programs a second; by default what the load makes of it")
    parser.add_argument("--chunk", type=_positive, default=512, help="prompt tokens a step")
    parser.add_argument("--running", type=_positive, default=128, help="requests in the batch")
    parser.add_argument("--policies", default=",".join(CHOICES), help="[EVICTION+]POLICY[@CLIENT], by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="figures only, as JSON")
    options = parser.parse_args(arguments)
    try:
        report = simulate(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(json.dumps(report, indent=1) if options.json else _table(report))


def simulate(options: argparse.Namespace) -> dict[str, Any]:
    """All the figures.

    Raises:
        OSError: the trace is a file that cannot be read.
        ValueError: a policy, the trace or a line of it, or the pool is not one that can be simulated.
    """
    from benchmarks.simulation import programs, recorded
    from benchmarks.simulation.capacity import capacity
    from benchmarks.simulation.contender import Contender
    from benchmarks.simulation.optimum import optimum
    from benchmarks.simulation.simulator import Simulator

    asked = options.policies.split(",")
    contenders = {name: Contender.parse(name, options.running, options.chunk) for name in [BASE, *asked]}
    own = options.trace in programs.TRACES
    read = None if own else recorded.read(Path(options.trace))

    def trace() -> Iterable[Program]:
        return programs.generate(options.requests, options.seed, options.trace) if read is None else read

    best = optimum(trace())
    least = best.longest + MARGIN  # a short trace's share may be less than one of its own documents
    pool = options.pool_tokens or max(least, int(best.trie_tokens * options.pool_fraction))
    if pool < least:
        raise ValueError(f"--pool-tokens={pool} cannot hold its longest request: give {least} or more")

    def run(name: str, some: Iterable[Program], rate: float) -> Outcome:
        return Simulator(pool, contenders[name]).run(some, rate)

    rate, sustained = options.rate or 1.0, None
    if options.rate is None and own:
        sustained = capacity(options.trace, options.seed, lambda some, at: run(BASE, some, at))
        rate = LOAD * sustained
    policies = {}
    for name in asked:
        figures = run(name, trace(), rate).figures()
        of_optimal = float(figures["hit_rate"]) / best.hit_rate if best.hit_rate else 1.0  # type: ignore[arg-type]
        policies[name] = {**figures, "hit_rate_optimal": best.hit_rate, "hit_rate_of_optimal": of_optimal}
    return {
        "trace": options.trace,
        "seed": options.seed,
        "programs": best.programs,
        "requests": best.requests,
        "pool_tokens": pool,
        "trie_tokens": best.trie_tokens,
        "programs_per_second": rate,
        "capacity": sustained,
        "policies": policies,
    }


def _table(report: dict[str, Any]) -> str:
    sustained = report["capacity"]
    lines = [
        f"{report['requests']} requests of {report['programs']} programs, "
        f"{report['programs_per_second']:.3f} a second"
        + ("" if sustained is None else f" ({BASE} sustains {sustained:.3f})")
        + f"; pool {report['pool_tokens']} tokens, trie {report['trie_tokens']}",
        f"{'':<18}{'hit rate':>9}{'/ optimal':>10}{'completion':>12}{'- delays':>10}{'p50':>7}{'p99':>7}"
        f"{'waiting':>9}{'p99':>7}{'max':>7}{'evicted':>10}{'retracted':>10}{'busy':>6}{'CPU':>8}",
    ]
    for name, row in report["policies"].items():
        waiting = row["waiting"]
        lines.append(
            f"{name:<18}{row['hit_rate']:>9.3f}{row['hit_rate_of_optimal']:>10.3f}"
            f"{row['mean_completion']:>10.1f} s{row['mean_completion_without_delays']:>8.1f} s"
            f"{row['p50_completion']:>7.0f}{row['p99_completion']:>7.0f}"
            f"{waiting['mean']:>9.2f}{waiting['p99']:>7.1f}{waiting['max']:>7.0f}"
            f"{row['evictions']:>10}{row['retractions']:>10}{row['utilization']:>6.2f}{row['cpu_seconds']:>6.1f} s"
        )
    return "\n".join(lines)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed: an integer of at least 1")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not allowed: a finite number above 0")
    return value


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # beside this file, grammars.py would hide the package
    main()
