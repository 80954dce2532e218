"""Soak: one round after another, with what must hold from each to the next."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.soaking.performance import perform
from benchmarks.soaking.plan import Plan
from benchmarks.soaking.round import Round
from benchmarks.soaking.settings import rounds
from benchmarks.soaking.tiny import CONTEXT_LENGTH, TinyModel
from benchmarks.soaking.visitor import LONG

__all__ = ["Soak"]

SUMMED = (
    "steps",
    "retractions",
    "preemptions",
    "evicted_tokens",
    "generated_tokens",
    "concatenated_tokens",
    "pins_given_up",
)
OURS = ("sgdsl-engine", "sgdsl-grammar", "sgdsl-tier", "soak-", "ThreadPool")
WARM_ROUNDS = 6
MOST_GROWTH = 1.25
SLACK_BYTES = 64 << 20


class Soak:
    """Draws settings, runs rounds, and runs every program that ended once more, alone.

    Args:
        seed: of everything.
        folder: for the disk tier.
        round_seconds: of each round.
        hang_seconds: a program that takes longer hangs.
    """

    def __init__(self, seed: int, folder: Path, round_seconds: float, hang_seconds: float) -> None:
        self.seed = seed
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self._round_seconds = round_seconds
        self._hang_seconds = hang_seconds
        self._settings = rounds(seed, folder)
        self._model = TinyModel()
        self._number = 0
        self._told = ""
        self._resident: list[int] = []

    def round(self, seconds: float) -> None:
        """One engine, and what its programs come to alone on a roomy one."""
        settings, number = next(self._settings), self._number
        self._number += 1
        before = _threads()
        one = Round(self._model.engine(settings), f"{self.seed}/{number}", self._hang_seconds)
        one.run(seconds)
        stats = one.stats()
        self.counts.update(one.counts)
        self.counts.update({name: stats[name] for name in SUMMED})
        found = one.violations or [*self._compared(one, settings["jump_forward"]), *self._left(before)]
        self.counts["rounds"] += 1
        self.violations += [f"seed {self.seed}, round {number}, {_drawn(settings)}: {what}" for what in found]
        self._told = "\n".join(self.violations) or (
            f"round {number}: {one.counts['programs']} programs, {stats['steps']} steps, "
            f"{stats['retractions']} retractions, {stats['evicted_tokens']} tokens evicted; {_drawn(settings)}"
        )
        self._weigh()

    def told(self) -> str:
        """The last round in a line."""
        return self._told

    def report(self) -> dict[str, Any]:
        """All the figures."""
        names = ("programs", "compared", "cancelled", "forks", *SUMMED, "rounds")
        first, last = self._resident[min(WARM_ROUNDS, len(self._resident)) - 1], self._resident[-1]
        return {
            "violations": len(self.violations),
            **{name: self.counts[name] for name in names},
            "seed": self.seed,
            "resident_megabytes_warm": first >> 20,
            "resident_megabytes_end": last >> 20,
            "found": self.violations,
        }

    def _compared(self, one: Round, jumps: bool) -> list[str]:
        """Whatever came to something else than alone, without a cache, on an engine that has room.

        Args:
            jumps: whether forced text is appended without the model, which may spell it in other tokens.
        """
        found: list[str] = []
        engine = self._model.engine({"max_total_tokens": 8 * CONTEXT_LENGTH, "policy": "fcfs", "jump_forward": jumps})
        with engine:
            for prompts, answers in one.answers:
                for prompt, answer in zip(prompts, answers, strict=True):
                    alone_ids = engine.generate(prompt, LONG)["output_ids"]
                    if alone_ids != answer:
                        found.append(f"prompt {prompt!r} came to {answer}, alone to {alone_ids}")
            for number, (plan, done) in one.ended.items():
                alone = perform(Plan(plan.steps, plan.num_forks, "ends", 0.0), engine, self._hang_seconds)
                engine.flush_cache()
                self.counts["compared"] += 1
                if alone.value != done.value:
                    found.append(f"program {number} came to {done.value}, alone to {alone.value or alone.error!r}")
                    break
        return found

    def _left(self, before: set[int]) -> list[str]:
        """Threads that a round has left behind; those that have been told to end get some time for it."""
        end = time.monotonic() + 5.0
        while (left := _threads() - before) and time.monotonic() < end:
            time.sleep(0.01)
        names = [thread.name for thread in threading.enumerate() if thread.ident in left]
        return [f"threads left: {', '.join(names)}"] if names else []

    def _weigh(self) -> None:
        import psutil

        gc.collect()
        self._resident.append(psutil.Process().memory_info().rss)
        if len(self._resident) <= WARM_ROUNDS:
            return
        allowed = self._resident[WARM_ROUNDS - 1] * MOST_GROWTH + SLACK_BYTES
        if self._resident[-1] > allowed:
            self.violations.append(f"{self._resident[-1]} bytes resident, {allowed:.0f} allowed")


def _threads() -> set[int]:
    """Threads that must not outlive a round: not the language's, which all programs of a process share."""
    return {thread.ident or 0 for thread in threading.enumerate() if thread.name.startswith(OURS)}


def _drawn(settings: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items() if name not in ("audit", "disk_cache_dir"))
