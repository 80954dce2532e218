"""`python -m benchmarks.overload`: what becomes of throughput when more is asked for than the pool can hold.

The pool, the tree and the scheduler are the runtime's own; the time a step takes comes of a cost model, so the figures
are the same everywhere. Users ask again as soon as they are answered, in rising numbers: until throughput grows no
more, and then once, twice and four times as many as the pool can hold. One request in twenty has a higher priority.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from benchmarks.simulation.cost import CostModel, context_tokens
from runtime.config import SchedulerConfig
from runtime.memory.cache import PrefixCache
from runtime.program_run import ProgramRun
from runtime.request import Request
from runtime.scheduler.policies import POLICIES
from runtime.scheduler.scheduler import Scheduler
from runtime.session_state import SessionState
from runtime.session_table import SessionTable

__all__ = ["LOADS", "Load", "Outcome", "overload"]

PAGE_SIZE = 16
TIMES = (1, 2, 4)
GOAL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked for.

    Attributes:
        pool_tokens: slots of the pool. requests: asked for in all, at every level.
        prompt, output: tokens at most of each; lengths are uniform from a tenth of that on. What a request may write is
            `output`, whatever it does write.
        shared: tokens of one of four beginnings that a prompt has besides.
        urgent: share of the requests with a higher priority.
        program: name of the program they come from; without one nothing is learnt of their lengths.
    """

    pool_tokens: int
    requests: int
    prompt: int
    output: int
    shared: int
    urgent: float = 0.05
    program: str = ""

    @property
    def capacity(self) -> int:
        """Requests of mean length that the pool holds when they end."""
        return int(self.pool_tokens / (0.55 * (self.prompt + self.output)))


LOADS: Mapping[str, Load] = MappingProxyType(
    {
        "reading": Load(pool_tokens=16_384, requests=600, prompt=1500, output=600, shared=500),
        "writing": Load(pool_tokens=16_384, requests=400, prompt=64, output=1200, shared=0),
        "program": Load(pool_tokens=16_384, requests=400, prompt=64, output=1200, shared=0, program="program"),
    }
)
"""Long prompts, long answers, and long answers of which a program's past says how long they become."""


@dataclass(slots=True)
class Outcome:
    """Of one level of load; times in seconds of the cost model."""

    users: int
    answered: int = 0
    aborted: int = 0
    generated: int = 0
    computed: int = 0
    prompts: int = 0
    seconds: float = 0.0
    retractions: int = 0
    preemptions: int = 0
    waits: dict[int, list[float]] = field(default_factory=lambda: {0: [], 1: []})

    @property
    def throughput(self) -> float:
        """Generated tokens a second."""
        return self.generated / self.seconds


class _Level:
    """So many users, one after another's requests."""

    def __init__(self, load: Load, users: int, policy: str, seed: int) -> None:
        self._load = load
        self._random = random.Random(seed)
        self._cache = PrefixCache(load.pool_tokens // PAGE_SIZE, PAGE_SIZE)
        self._sessions = SessionTable(self._cache, lambda copies: None)
        config = SchedulerConfig(policy=policy, max_running_requests=1024)  # type: ignore[arg-type]
        self._scheduler = Scheduler(self._cache, config, self._sessions.reclaim)
        self._cost = CostModel()
        self._left = load.requests
        self._asked: dict[Request, tuple[SessionState, int, float]] = {}
        self.outcome = Outcome(users)

    def run(self) -> Outcome:
        outcome = self.outcome
        for _ in range(min(outcome.users, self._left)):
            self._ask()
        while self._asked:
            self._step()
        outcome.retractions = self._scheduler.num_retractions
        outcome.preemptions = self._scheduler.num_preemptions
        return outcome

    def _ask(self) -> None:
        self._left -= 1
        load, draw = self._load, self._random
        number = load.requests - self._left
        session = SessionState("", load.program, ProgramRun(load.program))
        self._sessions.take_up(session)
        session.extend([-1 - draw.randrange(4)] * load.shared + [number] * self._length(load.prompt))
        sequence, prompt = session.sequence, len(session.tokens)
        if sequence is None:
            raise RuntimeError("a session that was never taken up")
        request = Request(
            tokens=session.tokens,
            sequence=sequence,
            prompt_len=prompt,
            max_length=prompt + load.output,
            priority=int(draw.random() < load.urgent),
            run=session.run,
        )
        self._asked[request] = session, prompt + self._length(load.output), self.outcome.seconds
        self.outcome.prompts += prompt
        self._scheduler.submit(request)

    def _length(self, most: int) -> int:
        return self._random.randint(most // 10, most)

    def _step(self) -> None:
        plan = self._scheduler.plan()
        if not plan:
            raise RuntimeError("there is work but nothing is planned")
        for request in plan.exhausted:
            self.outcome.aborted += 1
            self._end(request)
        work = plan.work
        num_new = sum(one.num_tokens for one in plan.extends)
        context = context_tokens((one.request for one in work), PAGE_SIZE)
        self.outcome.seconds += self._cost.seconds(num_new, len(plan.decodes), context)
        self.outcome.computed += num_new
        for one in work:
            request, sequence = one.request, one.request.sequence
            request.cursor += one.num_tokens
            sequence.kv_len = max(sequence.kv_len, request.cursor)
            if one.num_tokens > 1 or request.cursor <= request.prompt_len:
                self._cache.commit(sequence, request.tokens)
            if request.cursor == len(request.tokens):
                self._sample(request)

    def _sample(self, request: Request) -> None:
        _, end, asked = self._asked[request]
        if not request.num_output:
            self.outcome.waits[request.priority].append(self.outcome.seconds - asked)
        request.tokens.append(request.tokens[request.prompt_len - 1])
        self.outcome.generated += 1
        if len(request.tokens) >= end:
            self.outcome.answered += 1
            self._scheduler.estimate.learn(request)
            self._end(request)

    def _end(self, request: Request) -> None:
        session = self._asked.pop(request)[0]
        self._scheduler.end(request)
        self._sessions.drop(session)
        if self._left:
            self._ask()


def overload(load: Load, policy: str = "lpm", seed: int = 0, times: Sequence[int] = TIMES) -> list[Outcome]:
    """Rising numbers of users up to the first at which throughput grows no more, then the multiples of the capacity."""
    outcomes: list[Outcome] = []
    users = 1
    while len(outcomes) < 2 or outcomes[-1].throughput > 1.01 * outcomes[-2].throughput:
        outcomes.append(_Level(load, users, policy, seed).run())
        users *= 2
    return outcomes + [_Level(load, count * load.capacity, policy, seed).run() for count in times]


def _line(outcome: Outcome, best: float, load: Load) -> str:
    waits = [f"{statistics.fmean(outcome.waits[level]):.2f}" for level in (0, 1)]
    return (
        f"{outcome.users:>6}{outcome.users / load.capacity:>7.2f}{outcome.throughput:>9.1f}"
        f"{outcome.throughput / best:>8.3f}{waits[0]:>10}{waits[1]:>9}{outcome.retractions:>11}"
        f"{outcome.preemptions:>11}{outcome.computed / outcome.prompts:>10.2f}"
        f"{outcome.answered:>10}{outcome.aborted:>9}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--policies", default="lpm,program", help=f"out of {', '.join(POLICIES)}, by commas")
    parser.add_argument("--loads", default=",".join(LOADS), help=f"out of {', '.join(LOADS)}, by commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = {"--policies": (options.policies.split(","), POLICIES), "--loads": (options.loads.split(","), LOADS)}
    for option, (names, known) in chosen.items():
        for name in names:
            if name not in known:
                parser.error(f"{option}: {name!r} is not one of {', '.join(known)}")
    for name in options.loads.split(","):
        for policy in options.policies.split(","):
            print(_table(name, policy, options.seed))


def _table(name: str, policy: str, seed: int) -> str:
    load = LOADS[name]
    outcomes = overload(load, policy, seed)
    best = max(outcome.throughput for outcome in outcomes[: -len(TIMES)])
    least = min(outcome.throughput for outcome in outcomes[-len(TIMES) :]) / best
    lines = [
        f"{name}, {policy}: a pool of {load.pool_tokens} tokens holds {load.capacity} requests of mean length",
        f"{'users':>6}{'load':>7}{'tok/s':>9}{'/ best':>8}{'first, s':>10}{'urgent':>9}{'retracted':>11}"
        f"{'preempted':>11}{'computed':>10}{'answered':>10}{'aborted':>9}",
        *(_line(outcome, best, load) for outcome in outcomes),
        f"least throughput of the overloaded / best before: {least:.3f} (goal: {GOAL} or more)",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
