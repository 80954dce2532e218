"""`python -m benchmarks.engine`: the engine alone, without a server, a thread or anybody who reads along.

Rates beside llama.cpp's `llama-batched-bench` in the same call, in turn and never at the same time; where a step's time
goes; how it grows. Everything takes under eight minutes on two cores that nothing else uses; `--quick` repeats nothing
and takes about two.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from benchmarks.engine import growth, parts, rates
from benchmarks.engine.llama import LlamaBench
from benchmarks.engine.stepping import Stepping
from benchmarks.report import Report, Row

SECTIONS = ("decode", "prefill", "shared", "fork", "profile", "growth")
PLACES = 64
SLOTS = 32_768
GOALS: dict[str, dict[int, float | None]] = {
    "int8": {1: 1.05, 4: None, 16: 1.3, 32: 1.3},
    "float32": {1: 1.0, 16: 1.1},
}
"""Batch sizes, and how many times llama.cpp's rate is to be reached with each format."""
BUSY = 10.0
"""Per cent of the machine that others may use before figures are called provisional."""


def measure_rates(
    report: Report, engine: Stepping, peer: LlamaBench | None, sections: Sequence[str], name: str, turns: int
) -> None:
    if "decode" in sections:
        rates.decode(report, engine, peer, GOALS.get(name, GOALS["int8"]), turns)
    if "prefill" in sections:
        rates.prefill(report, engine, peer, turns, 1.2 if name != "float32" else None)
    if name != "float32" and "shared" in sections:
        rates.shared_prefix(report, engine, turns)
    if name != "float32" and "fork" in sections:
        rates.fork(report, engine, turns, 2.0)


def measure_parts(report: Report, engine: Stepping, steps: int) -> dict[str, Any]:
    costs = [parts.outside(engine, batch, steps) for batch in (1, 16, 32, 64)]
    for cost in costs:
        report.below(f"outside of kernels, batch {cost.batch}, ms a step", cost.wall, cost.goal)
        report.add(Row("  processor time of the engine's thread", cost.processor))
    profiles = [parts.profile(engine, batch, steps) for batch in (1, 32)]
    for one in profiles:
        print(f"\na step of {one.batch}: {one.ms:.2f} ms" + 29 * " " + "ms   share")
        for name, ms, share in one.rows():
            print(f"  {name:<40}{ms:>8.3f}{share:>8.1%}")
    print(flush=True)
    return {"outside": [asdict(cost) for cost in costs], "profiles": [asdict(one) for one in profiles]}


def measure_growth(report: Report, engine: Stepping, steps: int, turns: int) -> dict[str, Any]:
    lines = [growth.by_batch(engine, steps), growth.by_context(engine, steps)]
    for line in lines:
        shown = ", ".join(f"{place:g}: {ms:.2f}" for place, ms in zip(line.places, line.ms, strict=True))
        print(f"\nms a step against {line.what}: {shown}")
        print(f"  {line.intercept:.2f} ms + {1e3 * line.slope:.2f} us each, R2 {line.r2:.4f}")
    print()
    alone, beside = growth.queued(engine, PLACES, 1000, turns, steps)
    report.add(Row(f"{PLACES} running, ms a step", alone))
    report.add(Row("  while 1,000 wait (ratio: alone / beside)", beside, alone, alone / beside))
    return {"growth": [asdict(line) for line in lines], "queued": {"alone": alone, "beside": beside}}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}, separated by commas")
    parser.add_argument("--model", default="smollm2", help="a built-in name, a folder or a GGUF file")
    parser.add_argument("--formats", default="int8,float32", help="weight formats; the first is looked into")
    parser.add_argument("--repeat", type=int, default=3, help="turns of which medians are shown")
    parser.add_argument("--quick", action="store_true", help="one turn, fewer steps")
    parser.add_argument("--llama-bench", type=Path, help="llama.cpp's program llama-batched-bench")
    parser.add_argument("--llama-models", default="", help="a GGUF file for each of --formats, separated by commas")
    parser.add_argument("--json", type=Path, help="where all figures are written to")
    parser.add_argument("--plot", type=Path, help="where a picture is written to, as PNG; needs matplotlib")
    options = parser.parse_args(arguments)
    options.sections, options.formats = options.only.split(","), options.formats.split(",")
    for name in options.sections:
        if name not in SECTIONS:
            parser.error(f"--only: {name!r} is not one of {', '.join(SECTIONS)}")
    options.models = [Path(name) for name in options.llama_models.split(",") if name]
    if options.llama_bench is not None and len(options.models) != len(options.formats):
        parser.error(f"--llama-models: {len(options.models)} files, and {len(options.formats)} weight formats")
    for file in [*options.models, *([] if options.llama_bench is None else [options.llama_bench])]:
        if not file.is_file():
            parser.error(f"there is no file {file}")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    turns, steps = (1, 20) if options.quick else (options.repeat, 60)
    load = psutil.cpu_percent(interval=1.0)
    described = {"model": options.model, "cores": str(os.cpu_count()), "used by others at the start": f"{load:.0f} %"}
    report = Report(described, "llama.cpp" if options.llama_bench else "beside")
    if load > BUSY:
        print("PROVISIONAL: others use this machine; what is beside each other may be compared, with caution")
    more: dict[str, Any] = {"provisional": load > BUSY}
    for place, name in enumerate(options.formats):
        engine = Stepping(options.model, name, max_running_requests=PLACES, max_total_tokens=SLOTS)
        print("  " + ", ".join(f"{key} {value}" for key, value in engine.described.items()))
        peer = None
        if options.llama_bench is not None:
            peer = LlamaBench(options.llama_bench, options.models[place], engine.team.threads)
            print(f"  beside {peer.model.name}")
        measure_rates(report, engine, peer, options.sections, name, turns)
        if place == 0 and "profile" in options.sections:
            more |= measure_parts(report, engine, steps)
        if place == 0 and "growth" in options.sections:
            more |= measure_growth(report, engine, steps // 2, turns)
    if options.json is not None:
        report.save(options.json, more)
    if options.plot is not None:
        from benchmarks.engine.chart import draw

        draw(report.rows, more, described, options.plot)
        print(f"drawn in {options.plot}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
