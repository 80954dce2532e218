"""`python -m benchmarks.language`: what the language itself costs: processor time, threads and memory, on the mock.

Each figure comes from a process of its own. Nothing is compared with anybody: the goals are the project's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import psutil

import sgdsl as sg
from benchmarks.report import Report

PROGRAMS, FORKS = 1_000, 8
ITEMS = 100_000
ASYNC_PROGRAMS = 5_000
STRAIGHT_RUNS = 500
STRAIGHT_GENS = 10
WATCH_SECONDS = 0.005


@sg.function
def forking(s, number: int):
    """Two gens in each of several forks."""
    s += f"Number {number}"
    forks = s.fork(FORKS)
    forks += " first" + sg.gen("first", max_tokens=4)
    forks += " second" + sg.gen("second", max_tokens=4)
    forks.join()
    return len(s["second"])


INSTRUCTIONS = 1 + 1 + 4 * FORKS + 1
"""Of `forking`: a text, a fork, two texts and two gens in each fork, a join."""


@sg.function
def single(s, number: int):
    """One gen."""
    s += f"Number {number}" + sg.gen("text", max_tokens=4)
    return s["text"]


@sg.function
async def awaited(s, number: int):
    """One gen, awaited."""
    s += f"Number {number}" + sg.gen("text", max_tokens=4)
    return await s.get("text")


@sg.function
def straight(s, topic: str):
    """A line of gens with text between them."""
    for turn in range(STRAIGHT_GENS):
        s += "On " + topic + ":" + sg.gen(f"text_{turn}", max_tokens=4)


@contextmanager
def _most_threads():
    """The largest number of threads alive meanwhile, as the one entry of a list."""
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_SECONDS):
            most[0] = max(most[0], threading.active_count() - 1)  # without this one

    watching = threading.Thread(target=watch)
    watching.start()
    yield most
    done.set()
    watching.join()


def forks() -> dict[str, float]:
    """Many programs that fork."""
    mock = sg.Mock()
    forking.run(0, backend=mock)
    with _most_threads() as most:
        begun = time.process_time()
        forking.run_batch([{"number": number} for number in range(PROGRAMS)], backend=mock)
        seconds = time.process_time() - begun
    return {
        "microseconds": 1e6 * seconds / (PROGRAMS * INSTRUCTIONS),
        "threads": most[0] - mock.capabilities.concurrency,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def batch() -> dict[str, float]:
    """A long batch whose results are looked at and dropped."""
    mock = sg.Mock()
    single.run(0, backend=mock)
    before = psutil.Process().memory_info().rss
    items = [{"number": number} for number in range(ITEMS)]
    count = sum(1 for _ in single.run_batch(items, backend=mock, generator_style=True))
    if count != ITEMS:
        raise RuntimeError(f"{count} of {ITEMS} items came back")
    return {"megabytes": (psutil.Process().memory_info().rss - before) / 1e6}


def coroutines() -> dict[str, float]:
    """Many `async` programs on one loop."""
    mock = sg.Mock()

    async def all_of_them() -> int:
        states = await asyncio.gather(*(awaited.arun(number, backend=mock) for number in range(ASYNC_PROGRAMS)))
        return sum(state.ret_value == "mock" for state in states)

    with _most_threads() as most:
        begun = time.monotonic()
        if asyncio.run(all_of_them()) != ASYNC_PROGRAMS:
            raise RuntimeError("an async program did not come to its end")
        seconds = time.monotonic() - begun
    return {"seconds": seconds, "threads": most[0]}


def compiled() -> dict[str, float]:
    """The same program recorded and compiled, in turn."""
    mock = sg.Mock()
    program = straight.compile()
    spent = {straight.run: 0.0, program.run: 0.0}
    for run in spent:
        run("warmth", backend=mock)
    for turn in range(2 * STRAIGHT_RUNS):
        run = list(spent)[turn % 2]
        begun = time.process_time()
        run("tea", backend=mock)
        spent[run] += time.process_time() - begun
    recorded, replayed = spent.values()
    return {"recorded": 1e6 * recorded / STRAIGHT_RUNS, "compiled": 1e6 * replayed / STRAIGHT_RUNS}


MEASURED: Mapping[str, Callable[[], dict[str, float]]] = MappingProxyType(
    {"forks": forks, "batch": batch, "coroutines": coroutines, "compiled": compiled}
)


def _apart(name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.language", "--measure", name]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def report_all() -> None:
    """Measures everything and prints the table."""
    report = Report({"backend": "mock", "processors": str(psutil.cpu_count())})
    figures = _apart("forks")
    what = f"{PROGRAMS} x fork({FORKS}) x 2 gens"
    report.below(f"{what}: µs of processor an instruction", figures["microseconds"], 60)
    report.below("  threads beside num_threads", figures["threads"], 4)
    report.below("  peak memory, MB", figures["megabytes"], 400)
    report.below(f"{ITEMS} items in a batch: growth, MB", _apart("batch")["megabytes"], 150)
    figures = _apart("coroutines")
    report.below(f"{ASYNC_PROGRAMS} async programs on one loop: s", figures["seconds"], 60)
    report.below("  threads", figures["threads"], 5)
    figures = _apart("compiled")
    report.below("compiled / recorded, processor time", figures["compiled"] / figures["recorded"], 1.0)


def main() -> None:
    """Measures one thing, as JSON, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("--measure", choices=tuple(MEASURED), help="only this, as JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURED[options.measure]()))
    else:
        report_all()


if __name__ == "__main__":
    main()
