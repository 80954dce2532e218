"""The scheduler without a model: a driver that pretends to compute, over pools that are too small."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.config import SchedulerConfig
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.request import Phase, Request
from runtime.scheduler.plan import StepPlan
from runtime.scheduler.policies import PATIENCE
from runtime.scheduler.scheduler import Scheduler
from runtime.session_state import SessionState
from runtime.session_table import SessionTable

CHUNK = 16


def next_token(tokens: Sequence[int]) -> int:
    """What the pretended model says: depends on every token before, and on nothing else."""
    return hash(tuple(tokens)) % 97


@dataclass(eq=False)
class Task:
    session: SessionState
    request: Request
    prompt: tuple[int, ...]
    max_new: int

    @property
    def output(self) -> list[int]:
        return self.session.tokens[len(self.prompt) :]


@dataclass
class Driver:
    """Does what the engine's core does around the scheduler, without tensors."""

    num_pages: int = 16
    page_size: int = 4
    policy: str = "fcfs"
    max_running: int = 8
    chunk: int = CHUNK
    forces: bool = False
    computed: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    content: dict[int, tuple[int, ...]] = field(default_factory=dict)
    tasks: dict[Request, Task] = field(default_factory=dict)
    ended: list[Task] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        self.cache = PrefixCache(self.num_pages, self.page_size)
        self.sessions = SessionTable(self.cache, lambda copies: None)
        config = SchedulerConfig(
            policy=self.policy,  # type: ignore[arg-type]
            max_running_requests=self.max_running,
            chunked_prefill_size=self.chunk,
        )
        self.scheduler = Scheduler(self.cache, config, self.sessions.reclaim)

    def submit(self, prompt: Sequence[int], max_new: int, namespace: str = "", priority: int = 0) -> Task:
        session = SessionState(namespace, "")
        self.sessions.take_up(session)
        session.extend(list(prompt))
        assert session.sequence is not None
        request = Request(
            tokens=session.tokens,
            sequence=session.sequence,
            prompt_len=len(prompt),
            max_length=len(prompt) + max_new,
            priority=priority,
        )
        task = self.tasks[request] = Task(session, request, tuple(prompt), max_new)
        self.scheduler.submit(request)
        return task

    def cancel(self, task: Task) -> None:
        self.scheduler.end(task.request)
        del self.tasks[task.request]
        self.sessions.drop(task.session)

    def step(self) -> StepPlan:
        decoding = {r for r in self.scheduler.running if r.is_decoding}
        taken = self.num_taken
        plan = self.scheduler.plan()
        self._check(plan, decoding, self.num_taken > taken)
        assert not plan.exhausted, "it would have fitted alone"
        for work in plan.work:
            self._compute(work.request, work.num_tokens)
        for work in plan.work:
            request = work.request
            if request.cursor == len(request.tokens) and request.num_remaining > 0:
                self._sample(request)
            # where tokens are forced the last ones are run too, as they are where their log probabilities are wanted
            if request.num_remaining == 0 and request.cursor >= len(request.tokens) - (0 if self.forces else 1):
                self._end(self.tasks[request])
        self.steps += 1
        self.sessions.audit()
        return plan

    @property
    def num_taken(self) -> int:
        return self.scheduler.num_retractions + self.scheduler.num_preemptions

    def _sample(self, request: Request) -> None:
        session = self.tasks[request].session
        session.add(next_token(request.tokens), "generated")
        while self.forces and request.num_remaining > 0 and next_token([7, *request.tokens]) % 3:
            session.add(next_token(request.tokens), "forced")

    def _check(self, plan: StepPlan, decoding: set[Request], retracted: bool) -> None:
        assert sum(work.num_tokens for work in plan.extends) <= self.chunk
        assert all(work.num_tokens > 1 for work in plan.extends)
        assert all(work.num_tokens == 1 for work in plan.decodes)
        assert len({work.request for work in plan.work}) == len(plan.work)
        assert {work.request for work in plan.work} <= set(self.scheduler.running)
        assert len(self.scheduler.running) <= self.max_running
        for work in plan.work:
            assert work.request.phase is Phase.RUNNING
            assert work.request.sequence.holder is Owner.REQUEST
            assert 0 < work.num_tokens <= work.request.num_pending
            last = work.request.cursor + work.num_tokens
            assert last <= len(work.request.sequence.pages) * self.page_size, "no page to write to"
        still = {r for r in decoding if r.phase is Phase.RUNNING}
        assert still <= {work.request for work in plan.work}, "a decode was held back"
        assert still == decoding or retracted

    def _compute(self, request: Request, count: int) -> None:
        """As `EngineCore` settles a piece of work; every slot remembers which prefix was computed into it."""
        sequence, tokens = request.sequence, request.tokens
        for position in range(request.cursor, request.cursor + count):
            if position < sequence.kv_len:
                continue
            slot = sequence.pages[position // self.page_size] * self.page_size + position % self.page_size
            assert position // self.page_size >= sequence.num_shared
            self.content[slot] = tuple(tokens[: position + 1])
            self.computed.append((tuple(tokens[: position + 1]), request.num_retractions))
        request.cursor += count
        sequence.kv_len = max(sequence.kv_len, request.cursor)
        for position in range(sequence.kv_len):
            slot = sequence.pages[position // self.page_size] * self.page_size + position % self.page_size
            assert self.content[slot] == tuple(tokens[: position + 1]), "attends to KV that is not its own"
        if count > 1 or request.cursor <= request.prompt_len:
            self.cache.commit(sequence, tokens)

    def _end(self, task: Task) -> None:
        self.scheduler.end(task.request)
        del self.tasks[task.request]
        self.ended.append(task)
        self.sessions.drop(task.session)

    def run(self, max_steps: int = 3000) -> None:
        while self.tasks:
            assert self.steps < max_steps, f"no end in sight: {self.scheduler.waiting}"
            assert self.step(), "there is work but nothing is planned"

    def assert_clean(self) -> None:
        self.sessions.audit()
        assert not self.scheduler.running
        assert not self.scheduler.waiting
        assert self.cache.tree.num_protected == 0
        self.cache.tree.clear()
        assert self.cache.pool.num_free == self.num_pages


def expected(prompt: Sequence[int], max_new: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(max_new):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]


SHAPES = [(1, 48), (4, 14), (16, 6)]


@pytest.mark.parametrize(("page_size", "num_pages"), SHAPES)
@pytest.mark.parametrize("policy", ["fcfs", "lpm", "dfs-weight", "priority", "program"])
@pytest.mark.parametrize("forces", [False, True])
def test_random_load_ends_with_the_right_tokens_and_clean_books(
    page_size: int, num_pages: int, policy: str, forces: bool
) -> None:
    retractions = preemptions = 0
    for seed in range(12):
        rng = random.Random(seed)
        running, chunk = rng.choice([2, 8]), rng.choice([1, 5, 16, 64])
        driver = Driver(num_pages, page_size, policy, max_running=running, chunk=chunk, forces=forces)
        prefixes = [[rng.randrange(3) for _ in range(rng.randrange(1, 20))] for _ in range(3)]
        tasks: list[Task] = []
        cancelled: set[int] = set()
        for _ in range(60):
            if rng.random() < 0.6:
                prompt = rng.choice(prefixes) + [rng.randrange(3) for _ in range(rng.randrange(1, 8))]
                room = num_pages * page_size - len(prompt)
                new = rng.randrange(1, min(room, 30))
                tasks.append(driver.submit(prompt, new, priority=rng.choice([0, 0, 0, 1, 2])))
            if rng.random() < 0.05 and driver.tasks:
                victim = rng.choice(list(driver.tasks.values()))
                cancelled.add(id(victim))
                driver.cancel(victim)
            if driver.tasks:
                driver.step()
        driver.run()
        finished = {id(task) for task in driver.ended}
        for task in tasks:
            assert (id(task) in finished) != (id(task) in cancelled)
            if id(task) in finished:
                assert task.output == expected(task.prompt, task.max_new)
        retractions += driver.scheduler.num_retractions
        preemptions += driver.scheduler.num_preemptions
        driver.assert_clean()
    assert retractions > 0, "the load was meant to be too much"
    assert preemptions > 0


@pytest.mark.parametrize(("page_size", "chunk"), [(1, 8), (1, 1), (16, 1), (16, 8), (16, 17), (16, 512)])
@pytest.mark.parametrize("policy", ["fcfs", "lpm", "dfs-weight", "priority", "program"])
def test_a_common_page_is_computed_once(page_size: int, chunk: int, policy: str) -> None:
    driver = Driver(1024 // page_size, page_size, policy, max_running=32, chunk=chunk)
    prefix = list(range(100))
    for i in range(12):
        driver.submit([*prefix, 200 + i, 300 + i], 3)
    driver.run()
    shared = 100 - 100 % page_size
    again = [run for run, _ in driver.computed if len(run) <= shared]
    assert sorted(map(len, again)) == list(range(1, shared + 1))
    driver.assert_clean()


def test_a_waiter_fills_when_the_filler_is_cancelled() -> None:
    driver = Driver(64, 16, chunk=8, max_running=8)
    filler = driver.submit(list(range(60)), 4)
    waiters = [driver.submit([*range(50), 100 + i], 4) for i in range(3)]
    driver.step()
    driver.step()  # one page is full
    assert filler.request.phase is Phase.RUNNING
    assert all(w.request.phase is Phase.WAITING for w in waiters)
    driver.cancel(filler)
    driver.run()
    assert len(driver.ended) == 3
    pages = [run for run, _ in driver.computed if len(run) <= 48]
    assert len(pages) == len(set(pages))
    driver.assert_clean()


def test_namespaces_do_not_wait_for_or_share_with_each_other() -> None:
    driver = Driver(64, 4, chunk=64, max_running=8)
    first = driver.submit(range(20), 1, "a")
    second = driver.submit(range(20), 1, "b")
    driver.step()
    assert first.request.phase is not Phase.WAITING
    assert second.request.phase is not Phase.WAITING
    driver.run()
    assert sum(len(run) <= 20 for run, _ in driver.computed) == 40


def test_running_decodes_are_not_delayed_by_a_long_prompt() -> None:
    driver = Driver(64, 16, chunk=32, max_running=8)
    short = driver.submit([1, 2, 3], 40)
    driver.step()
    driver.submit(range(10, 410), 2)
    for _ in range(12):
        before = len(short.output)
        plan = driver.step()
        assert len(short.output) == before + 1
        assert sum(w.num_tokens for w in plan.extends) == 32
    driver.run()


def test_overflow_retracts_the_least_progressed_and_the_rest_go_on() -> None:
    driver = Driver(8, 4, chunk=64, max_running=8)
    first = driver.submit([1, 2, 3], 20)
    for _ in range(6):
        driver.step()
    second = driver.submit([4, 5, 6], 20)
    retracted = False
    while driver.tasks:
        driver.step()
        if driver.scheduler.num_retractions and not retracted:
            retracted = True
            assert second.request.phase is Phase.WAITING
            assert first.request.phase is Phase.RUNNING
    assert retracted
    assert first.output == expected([1, 2, 3], 20)
    assert second.output == expected([4, 5, 6], 20)
    driver.assert_clean()


def test_what_a_retracted_request_computed_is_found_again() -> None:
    """Its KV goes to the tree; with nothing evicted in between only the tail that filled no page is recomputed."""
    driver = Driver(9, 4, chunk=64, max_running=8)
    driver.submit([1, 2, 3], 24)
    for _ in range(4):
        driver.step()
    driver.submit([4, 5, 6, 7, 8, 9], 4)
    driver.run()
    recomputed = len(driver.computed) - len({run for run, _ in driver.computed})
    assert recomputed <= 8 * max(1, driver.scheduler.num_retractions)
    driver.assert_clean()


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 63),
    page_size=st.sampled_from([1, 4, 16]),
    policy=st.sampled_from(["fcfs", "lpm", "dfs-weight", "program"]),
)
def test_whatever_fits_alone_is_served(length: int, page_size: int, policy: str) -> None:
    driver = Driver(64 // page_size, page_size, policy, chunk=7)
    fillers = [driver.submit([9, i, 9], 30) for i in range(4)]
    for _ in range(5):
        driver.step()
    task = driver.submit(range(100, 100 + length), 64 - length)
    driver.run()
    assert len(driver.ended) == len(fillers) + 1
    assert task.output == expected(task.prompt, task.max_new)
    driver.assert_clean()


def test_an_idle_session_gives_way() -> None:
    driver = Driver(8, 4, chunk=64)
    idle = SessionState("", "")
    driver.sessions.take_up(idle)
    idle.extend(range(26))
    assert idle.sequence is not None
    assert driver.cache.reserve(idle.sequence, 26)
    idle.sequence.kv_len = 26
    for position in range(26):
        page = idle.sequence.pages[position // 4]
        driver.content[page * 4 + position % 4] = tuple(idle.tokens[: position + 1])
    task = driver.submit(range(50, 70), 8)
    driver.run()
    assert task.output == expected(task.prompt, 8)
    assert idle.sequence.pages == []
    assert idle.tokens == list(range(26))


def test_end_takes_a_request_out_of_either_queue() -> None:
    driver = Driver(8, 4, max_running=1)
    running, waiting = driver.submit([1, 2, 3], 8), driver.submit([4, 5], 8)
    driver.step()
    assert (running.request.phase, waiting.request.phase) == (Phase.RUNNING, Phase.WAITING)
    driver.cancel(waiting)
    driver.cancel(running)
    driver.scheduler.end(running.request)  # once more changes nothing
    driver.assert_clean()


def test_max_running_requests_is_kept() -> None:
    driver = Driver(64, 4, max_running=3, chunk=512)
    for i in range(10):
        driver.submit([i, i + 1], 5)
    while driver.tasks:
        driver.step()
        assert len(driver.scheduler.running) <= 3
    assert len(driver.ended) == 10


def test_an_empty_queue_plans_nothing() -> None:
    driver = Driver()
    assert not driver.scheduler.plan()


@pytest.mark.parametrize("policy", ["fcfs", "lpm", "dfs-weight", "priority", "program"])
def test_higher_priorities_are_admitted_first(policy: str) -> None:
    driver = Driver(policy=policy, max_running=1)
    tasks = [driver.submit([i, 1, 2], 2, priority=p) for i, p in enumerate([0, 3, -1, 3, 0, 7])]
    driver.run()
    assert [tasks.index(task) for task in driver.ended] == [5, 1, 3, 0, 4, 2]
    driver.assert_clean()


def test_nobody_starves_behind_priorities_and_few_places_go_to_the_old() -> None:
    driver = Driver(max_running=1)
    lows = [driver.submit([90, i], 1) for i in range(3)]
    for number in range(2):
        driver.submit([number, 1], 1, priority=1000)
    while any(low in driver.tasks.values() for low in lows):
        driver.step()
        while sum(task.request.priority > 0 for task in driver.tasks.values()) < 2:
            driver.submit([len(driver.ended) % 90, 1], 1, priority=1000)
        assert driver.steps < 2000, "starved"
    places = [driver.ended.index(low) for low in lows]
    assert places == sorted(places)
    gaps = [b - a for a, b in zip([0, *places], places, strict=False)]
    assert all(gap >= PATIENCE for gap in gaps)
    assert all(gap <= PATIENCE + 2 for gap in gaps)
