"""`python -m benchmarks`: all workloads here and by `transformers` on the same weights, in one call.

The rows of grammars are beside other grammar engines instead, which they name; those of constrained decoding beside
the same engine without a constraint.

Decode rates are of the decode alone: a run with one new token is taken off. Each pair is measured in turn and repeated;
medians are shown, of decode ratios the median of the turns' ratios. All of it takes about a
quarter of an hour on two cores; `--quick` repeats nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks import constrained, forks, grammars, jump_forward, scheduling, startup, steps
from benchmarks.ours import Ours
from benchmarks.peer import Peer
from benchmarks.prompts import person, words
from benchmarks.report import Report, Row
from runtime.engine import Engine

WORKLOADS = ("decode", "shared_prefix", "fork", "json", "grammars", "constrained", "jump_forward", "steps", "startup")
PROMPT, NEW = 100, 128
PREFIX, OWN, SHARED_NEW = 1000, 30, 16


def decode(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    tokenizer = ours.engine.tokenizer
    for batch, at_least in ((1, 1.5), (16, 2.0)):
        pairs = []
        for turn in range(repeat):
            short = ours.decode(batch, PROMPT, 1, f"{turn}-short")
            long = ours.decode(batch, PROMPT, NEW, f"{turn}-long")
            ids = [tokenizer.encode(words(tokenizer, PROMPT, f"decode-{turn}-long-{i}")) for i in range(batch)]
            seconds = peer.generate(ids, NEW)[0] - peer.generate(ids, 1)[0]
            tokens = batch * (NEW - 1)
            pairs.append((tokens / (long.seconds - short.seconds), tokens / seconds))
        report.faster(f"decode, batch {batch}, tok/s", pairs, at_least)


def shared_prefix(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    count, measured = 64, 8
    runs = [ours.shared_prefix(count, PREFIX, OWN, str(turn)) for turn in range(repeat)]
    tokenizer = ours.engine.tokenizer
    ids = [tokenizer.encode(words(tokenizer, PREFIX + OWN, f"peer-{i}")) for i in range(measured)]
    # Without a cache every prompt is computed whole, so 8 of the 64 say what all of them take.
    theirs = peer.generate(ids, SHARED_NEW)[0] * count / measured
    seconds = statistics.median(run.seconds for run in runs)
    report.shorter(f"64 x ({PREFIX} shared + {OWN} own), {SHARED_NEW} new, s", seconds, theirs, 10)
    rate = statistics.median(run.note["cached_rate_of_optimal"] for run in runs)
    report.above("  cached tokens / optimal", rate, 0.95)


def fork(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    runs = [ours.fork(32, PREFIX, 10, str(turn)) for turn in range(repeat)]
    run = runs[0]
    report.add(Row("fork(32) after 1000 tokens, 16 new each, s", statistics.median(run.seconds for run in runs)))
    computed, expected = run.counters["computed_tokens"], run.note["prefix_plus_own_tokens"]
    report.add(Row("  prompt tokens computed", computed, goal=f"= {expected}", met=computed == expected))
    inside, outside, again = forks.fork_ms(ours.engine)
    report.below("fork(1) of 4,000 tokens, ms of the engine's thread", inside, 0.5)
    report.below("  ms until the fork is there, for the caller", outside, 0.5)
    report.add(Row("  tokens computed again", again, goal="= 0", met=again == 0))


def json_objects(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    runs = [ours.json(32, str(turn)) for turn in range(repeat)]
    seconds = statistics.median(run.seconds for run in runs)
    template = ours.engine.chat_template
    tokenizer = ours.engine.tokenizer
    length = max(1, round(statistics.median(run.tokens for run in runs) / 32))
    texts = [person(f"json-0-{i}") for i in range(32)]
    prompts = [
        tokenizer.encode(template.render([{"role": "user", "content": text}]) if template else text) for text in texts
    ]
    shortest = min(map(len, prompts))
    theirs, _ = peer.generate([prompt[:shortest] for prompt in prompts], length)
    report.shorter("32 JSON objects (peer: as many tokens, no schema), s", seconds, theirs)
    valid = min(int(run.note["valid"].split("/")[0]) for run in runs)
    report.add(Row("  valid under the schema, of 32", valid, goal="= 32", met=valid == 32))


def grammar_engines(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    tokenizer = ours.engine.tokenizer
    grammars.compare(report, tokenizer.vocabulary, tokenizer.encode, max(3, repeat))


def constrained_decoding(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    constrained.compare(report, ours.engine, repeat)


def jumping_forward(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    jump_forward.compare(report, ours.engine, 100 if repeat > 1 else 20)


def step_costs(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    report.below("64 running: schedule + detokenize, ms a step", steps.overhead_ms(ours.engine), 3.0)
    for policy in ("lpm", "program"):
        milliseconds = scheduling.decision_ms(policy)
        report.below(f"1,024 running, 10,000 waiting: decision, {policy}, ms", milliseconds, 5.0)
    report.below("64 rows: greedy sampling, ms a step", steps.sampling_ms(ours.engine.tokenizer.vocab_size), 4.0)


def start_up(report: Report, ours: Ours, peer: Peer, repeat: int) -> None:
    report.below("import sgdsl, s", startup.import_seconds(), 0.15)
    report.below("sgdsl --help, s", startup.help_seconds(), 0.3)
    report.below("first token of the quickstart, s from start", startup.first_token_seconds(), 8.0)
    beside_libraries = [startup.beside_libraries() for _ in range(3)]
    report.below("first token, s after import torch", min(one["seconds"] for one in beside_libraries), 3.0)
    report.below("first token, CPU s after import torch", min(one["cpu"] for one in beside_libraries), 3.0)
    report.below("resident beside libraries, MB", min(one["resident"] for one in beside_libraries) / 1e6, 250)
    beside, pool = startup.peak_megabytes()
    report.below(f"peak memory beside {pool:.0f} MB of KV, MB", beside, 1600)


RUNS: dict[str, Callable[[Report, Ours, Peer, int], None]] = {
    "decode": decode,
    "shared_prefix": shared_prefix,
    "fork": fork,
    "json": json_objects,
    "grammars": grammar_engines,
    "constrained": constrained_decoding,
    "jump_forward": jumping_forward,
    "steps": step_costs,
    "startup": start_up,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, separated by commas")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--weight-format", default="auto")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="repeat nothing")
    parser.add_argument("--out", type=Path, default=Path("bench-results/benchmarks.json"))
    options = parser.parse_args()
    chosen = options.only.split(",")
    for name in chosen:
        if name not in RUNS:
            parser.error(f"--only: {name!r} is not one of {', '.join(WORKLOADS)}")
    with Engine(options.model, weight_format=options.weight_format) as engine:
        load = psutil.cpu_percent(interval=1.0)
        described = {**engine.describe(), "cores": str(os.cpu_count()), "background load": f"{load:.0f} %"}
        report = Report(
            {key: described[key] for key in ("model", "weight_format", "attention", "cores", "background load")}
        )
        ours, peer = Ours(engine), Peer(options.model)
        for name in chosen:
            RUNS[name](report, ours, peer, 1 if options.quick else options.repeat)
        report.save(options.out)


if __name__ == "__main__":
    main()
