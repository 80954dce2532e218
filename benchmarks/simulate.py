"""`python benchmarks/simulate.py`: what each policy makes of a trace of requests, without a network.

The pool, the tree and the scheduler are the runtime's own; the time a step takes comes of a cost model. Programs arrive
at 0.9 of the rate that `lru+fcfs` sustains, or at `--rate`; a trace from a file keeps its own times unless a rate is
given.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOAD = 0.9
MARGIN = 64
CHOICES = ("lru+fcfs", "lru+lpm", "lru+dfs-weight", "program")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/simulate.py", description=__doc__)
    parser.add_argument("--trace", default="programs", help="`programs`, or a file of JSON lines from a real server")
    parser.add_argument("--requests", type=_positive, default=10_000, help="gens to simulate, at least")
    parser.add_argument(
        "--pool-fraction", type=_fraction, default=0.25, help="of all that is read and written; at least one request's"
    )
    parser.add_argument("--pool-tokens", type=_positive, help="slots of the pool, instead")
    parser.add_argument("--rate", type=_fraction, help="programs a second; by default what the load makes of it")
    parser.add_argument("--chunk", type=_positive, default=512, help="prompt tokens a step")
    parser.add_argument("--running", type=_positive, default=128, help="requests in the batch")
    parser.add_argument("--policies", default=",".join(CHOICES), help=f"out of {', '.join(CHOICES)}, by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="figures only, as JSON")
    options = parser.parse_args(arguments)
    for name in options.policies.split(","):
        if name not in CHOICES:
            parser.error(f"--policies: {name!r} is not one of {', '.join(CHOICES)}")
    try:
        report = simulate(options)
    except (OSError, ValueError) as error:
        parser.error(f"--trace={options.trace}: {error}")
    print(json.dumps(report, indent=1) if options.json else _table(report))


def simulate(options: argparse.Namespace) -> dict[str, Any]:
    """All the figures."""
    from benchmarks.simulation import programs, recorded
    from benchmarks.simulation.capacity import capacity
    from benchmarks.simulation.outcome import Outcome
    from benchmarks.simulation.simulator import Simulator
    from benchmarks.simulation.trace import Program, optimum
    from runtime.config import SchedulerConfig

    own = options.trace == "programs"
    trace = programs.generate(options.requests, options.seed) if own else recorded.read(Path(options.trace))
    best = optimum(trace)
    least = best.longest + MARGIN  # a short trace's share may be less than one of its own documents
    pool = options.pool_tokens or max(least, int(best.trie_tokens * options.pool_fraction))

    def run(name: str, some: Sequence[Program], rate: float) -> Outcome:
        config = SchedulerConfig(
            policy=name.removeprefix("lru+"),  # type: ignore[arg-type]
            max_running_requests=options.running,
            chunked_prefill_size=options.chunk,
        )
        return Simulator(pool, config, "lru" if name.startswith("lru+") else name).run(some, rate)

    if pool < least:
        raise ValueError(f"--pool-tokens={pool} cannot hold its longest request: give {least} or more")
    rate = options.rate
    if rate is None:
        rate = LOAD * capacity(trace, lambda some, at: run("lru+fcfs", some, at)) if own else 1.0
    optimal = best.hit_tokens / max(1, best.prompt_tokens)
    policies = {}
    for name in options.policies.split(","):
        figures = run(name, trace, rate).figures()
        policies[name] = {**figures, "hit_rate_optimal": optimal, "hit_rate_of_optimal": figures["hit_rate"] / optimal}
    return {
        "trace": options.trace,
        "seed": options.seed,
        "programs": len(trace),
        "requests": sum(program.num_requests for program in trace),
        "pool_tokens": pool,
        "trie_tokens": best.trie_tokens,
        "programs_per_second": rate,
        "policies": policies,
    }


def _table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['requests']} requests of {report['programs']} programs, "
        f"{report['programs_per_second']:.3f} a second; "
        f"pool {report['pool_tokens']} tokens, trie {report['trie_tokens']}",
        f"{'':<16}{'hit rate':>9}{'/ optimal':>10}{'completion':>12}{'- delays':>10}{'p99':>8}{'waiting':>9}{'p99':>8}"
        f"{'evicted':>12}{'retracted':>10}{'busy':>7}",
    ]
    for name, row in report["policies"].items():
        waiting = row["waiting"]
        lines.append(
            f"{name:<16}{row['hit_rate']:>9.3f}{row['hit_rate_of_optimal']:>10.3f}"
            f"{row['mean_completion']:>10.1f} s{row['mean_completion_without_delays']:>8.1f} s"
            f"{row['p99_completion']:>8.0f}"
            f"{waiting['mean']:>9.2f}{waiting['p99']:>8.1f}"
            f"{row['evictions']:>12}{row['retractions']:>10}{row['utilization']:>7.2f}"
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
