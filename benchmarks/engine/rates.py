"""Rates: tokens a second of the engine alone, in turn with llama.cpp's where there is one; medians of the turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from benchmarks.engine.llama import LlamaBench
from benchmarks.engine.stepping import Stepping, prompt
from benchmarks.report import Report, Row
from runtime.attention.cpu import CpuAttention
from runtime.attention.prefix_tree import GroupedDecodes

__all__ = ["decode", "fork", "prefill", "shared_prefix"]

PROMPT, NEW = 100, 128
LONG = 1024
PACKED, PIECE = 8, 128
REQUESTS, PREFIX, OWN, SHARED_NEW = 64, 1000, 30, 16
FORKS, FORK_PREFIX, FORK_NEW = 32, 2000, 24
WARM = 4


def decode(
    report: Report,
    engine: Stepping,
    peer: LlamaBench | None,
    goals: dict[int, float | None],
    turns: int,
) -> None:
    """Decodes of 100 tokens of context and 128 new ones, side by side.

    Args:
        goals: for each batch size, how many times the peer's rate is to be reached.
    """
    for batch, at_least in goals.items():
        prompts = [prompt(PROMPT, f"decode-{place}") for place in range(batch)]
        ours, theirs = [], []
        for _ in range(turns):
            requests = engine.begin(prompts, NEW)
            steps = NEW - max(one.num_new for one in requests)  # nobody ends within what is timed
            ours.append(batch * steps / engine.seconds_of(steps))
            engine.drop(requests)
            if peer is not None:
                theirs.append(peer.run(batch, PROMPT, NEW).decode)
        _add(report, f"decode, batch {batch}, tok/s", ours, theirs, at_least)


def prefill(
    report: Report, engine: Stepping, peer: LlamaBench | None, turns: int, at_least: float | None = None
) -> None:
    """Prompts that nothing is cached of: one long one, and several short ones at once."""
    ours, theirs, packed, their_packed = [], [], [], []
    for turn in range(turns):
        ours.append(LONG / _prefill_seconds(engine, [prompt(LONG, f"prefill-{turn}")]))
        if peer is not None:
            theirs.append(peer.run(1, LONG, 1).prefill)
        pieces = [prompt(PIECE, f"packed-{turn}-{place}") for place in range(PACKED)]
        packed.append(PACKED * PIECE / _prefill_seconds(engine, pieces))
        if peer is not None:
            their_packed.append(peer.run(PACKED, PIECE, 1).prefill)
    _add(report, f"prefill, {LONG} tokens, tok/s", ours, theirs, at_least)
    _add(report, f"prefill, {PACKED} x {PIECE} tokens, tok/s", packed, their_packed)


def _prefill_seconds(engine: Stepping, prompts: Sequence[Sequence[int]]) -> float:
    """Until each has its first token."""
    engine.core.flush_cache()
    begin = time.perf_counter()
    requests = engine.begin(prompts, 2)
    seconds = time.perf_counter() - begin
    engine.drop(requests)
    return seconds


def shared_prefix(report: Report, engine: Stepping, turns: int) -> None:
    """Requests that begin with the same text, which nothing is cached of at first."""
    seconds = []
    for turn in range(turns):
        engine.core.flush_cache()
        prefix = prompt(PREFIX, f"shared-{turn}")
        prompts = [prefix + prompt(OWN, f"shared-{turn}-{place}") for place in range(REQUESTS)]
        begin = time.perf_counter()
        requests = engine.ask(prompts, SHARED_NEW)
        engine.run_out(requests)
        seconds.append(time.perf_counter() - begin)
        engine.drop(requests)
    what = f"{REQUESTS} x ({PREFIX} shared + {OWN} own), {SHARED_NEW} new, s"
    report.add(Row(what, statistics.median(seconds)))


def fork(report: Report, engine: Stepping, turns: int, at_least: float | None = None) -> None:
    """Decodes of forks of one long text, with prefix-tree attention and with each reading the text for itself."""
    attention = engine.runner._attention  # the benchmark switches it off, which no user has a reason to
    if not isinstance(attention, CpuAttention):
        report.add(Row("fork: no prefix-tree attention here", 0.0))
        return
    together = attention._groups
    alone = GroupedDecodes(together.page_size, together._most[0], 1)
    text = prompt(FORK_PREFIX, "fork")
    prompts = [[*text, *prompt(4, f"fork-{place}")] for place in range(FORKS)]
    rates: dict[str, list[float]] = {"tree": [], "alone": []}
    texts: dict[str, list[tuple[int, ...]]] = {}
    for _ in range(turns):
        for name, groups in (("tree", together), ("alone", alone)):
            attention._groups = groups
            requests = engine.begin(prompts, FORK_NEW)
            steps = FORK_NEW - max(one.num_new for one in requests)
            rates[name].append(FORKS * steps / engine.seconds_of(steps))
            texts[name] = engine.run_out(requests)
            engine.drop(requests)
    attention._groups = together
    pairs = list(zip(rates["tree"], rates["alone"], strict=True))
    _add(report, f"fork({FORKS}) at {FORK_PREFIX}, tok/s (beside: no tree)", *zip(*pairs, strict=True), at_least)
    same = sum(a == b for a, b in zip(texts["tree"], texts["alone"], strict=True))
    report.add(Row("  forks with the same tokens in both", same, goal=f"= {FORKS}", met=same == FORKS))


def _add(
    report: Report, what: str, ours: Sequence[float], theirs: Sequence[float], at_least: float | None = None
) -> None:
    if not theirs:
        report.add(Row(what, statistics.median(ours)))
    elif at_least is None:
        ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
        report.add(Row(what, statistics.median(ours), statistics.median(theirs), ratio))
    else:
        report.faster(what, list(zip(ours, theirs, strict=True)), at_least)
