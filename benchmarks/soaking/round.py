"""Round: one engine, programs and visitors on it for some seconds, and what must hold while they run and afterwards."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.soaking.performance import Performance, perform, perform_async
from benchmarks.soaking.plan import Plan, draw
from benchmarks.soaking.visitor import Visitor
from runtime.engine import Engine
from runtime.handle import Handle

__all__ = ["Round"]

THREADS = 12
TASKS = 12
VISITORS = 2
SETTLE_SECONDS = 20.0


class Round:
    """Runs programs until its time is over, then closes everything.

    Args:
        engine: a tiny one.
        seed: of this round: the same seed draws the same programs.
        hang_seconds: a program that takes longer hangs.

    Attributes:
        violations: what was wrong, in words.
        ended: number → plan and how it went, for what ended by itself.
        answers: prompts that visitors had generated for, and the tokens that came of each.
        counts: programs, cancelled, forks.
    """

    def __init__(self, engine: Engine, seed: str, hang_seconds: float) -> None:
        self.violations: list[str] = []
        self.ended: dict[int, tuple[Plan, Performance]] = {}
        self.answers: list[tuple[list[str], list[list[int]]]] = []
        self.counts: Counter[str] = Counter()
        self._visitors: list[Visitor] = []
        self._engine = engine
        self._seed = seed
        self._hang_seconds = hang_seconds
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._until = 0.0

    def run(self, seconds: float) -> None:
        """Does all of it; afterwards the engine is shut down."""
        self._until = time.monotonic() + seconds
        tasks = [self._work] * THREADS + [self._run_loop] + [self._visit] * VISITORS
        workers = [
            threading.Thread(target=self._guard, args=(task,), name=f"soak{task.__name__}-{i}", daemon=True)
            for i, task in enumerate(tasks)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=max(0.0, self._until - time.monotonic()) + 3 * self._hang_seconds)
            if worker.is_alive():
                self._note(f"{worker.name} hangs")
        if not self._is_dead():
            self._settle()
        self._close()

    def stats(self) -> Mapping[str, Any]:
        """The engine's."""
        return self._engine.stats()

    # ---- workers

    @property
    def _goes_on(self) -> bool:
        return time.monotonic() < self._until and not self.violations and not self._is_dead()

    def _draw(self) -> tuple[int, Plan]:
        number = next(self._numbers)
        return number, draw(random.Random(f"{self._seed}/{number}"))

    def _guard(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:
            if not self._is_dead():
                self._note(f"{task.__name__}: {type(error).__name__}: {error}")

    def _work(self) -> None:
        while self._goes_on:
            number, plan = self._draw()
            self._book(number, plan, perform(plan, self._engine, self._hang_seconds))

    def _run_loop(self) -> None:
        asyncio.run(self._gather())

    async def _gather(self) -> None:
        await asyncio.gather(*(self._task() for _ in range(TASKS)))

    async def _task(self) -> None:
        while self._goes_on:
            number, plan = self._draw()
            self._book(number, plan, await perform_async(plan, self._engine, self._hang_seconds))

    def _visit(self) -> None:
        with self._lock:
            visitor = Visitor(self._engine, random.Random(f"{self._seed}/{len(self._visitors)}"), self._hang_seconds)
            self._visitors.append(visitor)
        while self._goes_on:
            visitor.visit()
        if not self._is_dead():
            visitor.leave()
        with self._lock:
            self.counts["cancelled"] += visitor.num_cancelled
            self.answers += visitor.answers

    def _book(self, number: int, plan: Plan, done: Performance) -> None:
        with self._lock:
            self.counts["programs"] += 1
            self.counts["forks"] += plan.num_forks
            if done.value is not None and plan.fate != "late":  # a gen that is out of time has what there is
                self.ended[number] = plan, done
            elif plan.fate != "ends" and (done.error is None or done.is_ended):
                self.counts["cancelled"] += 1
            elif not self._is_dead():
                what = "hangs" if done.hangs else f"{type(done.error).__name__}: {done.error}"
                cause = "" if done.error is None else f" because of {done.error.__cause__!r}"
                self._note(f"program {number} ({plan.fate}): {what}{cause}")

    def _note(self, what: str) -> None:
        self.violations.append(f"step {self._engine.stats()['steps']}: {what}")

    # ---- the end

    def _is_dead(self) -> bool:
        failure = self._engine._core.failure
        if failure is not None and not any("engine died" in one for one in self.violations):
            self._note(f"the engine died: {type(failure).__name__}: {failure}")
        return failure is not None

    def _settle(self) -> None:
        """Waits until nothing is held any more; what is held then is a leak."""
        end, held = time.monotonic() + SETTLE_SECONDS, "never looked"
        while held and time.monotonic() < end and not self._is_dead():
            gc.collect()
            held = self._held()
            time.sleep(0.01 if held else 0.0)
        if held:
            self._note(f"held after everything was closed: {held}")

    def _held(self) -> str:
        core = self._engine._core
        done: Handle[dict[str, int]] = Handle()

        def look() -> None:
            core.sessions.audit()
            core.pins.expire()
            table = core.cache.pool.ledger.table()
            tiers = core.tiers
            held = {
                "sessions": len(core.sessions),
                "jobs": len(core._stepper._jobs),
                "running": len(core.scheduler.running),
                "waiting": len(core.scheduler.waiting),
                "protected": core.cache.tree.num_protected if not core.pins.held else 0,
                "pins": len(core.pins.held),
                "staged": 0 if tiers is None else tiers._num_staged,
                "neither free nor tree": table["total"] - table["free"] - table["tree"],
            }
            done.finish({name: count for name, count in held.items() if count})

        core.post(look)
        found = done.result(timeout=SETTLE_SECONDS)
        return ", ".join(f"{name} {count}" for name, count in found.items())

    def _close(self) -> None:
        closing = threading.Thread(target=self._engine.shutdown, daemon=True)
        closing.start()
        closing.join(self._hang_seconds)
        if closing.is_alive():
            self._note("shutdown hangs")
