"""A hypothesis state machine over pool, tree and ledger: whatever happens in whatever order, the books balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.eviction import POLICIES
from runtime.memory.pins import Pins
from runtime.memory.sequence import SequenceKV

NUM_PAGES = 24
COMMON = [0, 0, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]
# Mostly one text, left at any place: what diverges within a page after common pages is what a tree gets wrong.
PROMPT = st.builds(
    lambda length, rest: COMMON[:length] + rest,
    st.integers(0, len(COMMON)),
    st.lists(st.integers(0, 1), min_size=1, max_size=6),
)


class CacheMachine(RuleBasedStateMachine):
    """Sequences grow, run, fork, are cut, retracted and dropped over a pool that is far too small for them.

    The model of the KV's content is `self.content`: slot → the prefix (tokens up to and including its own) that was
    computed into it. A sequence may only ever hold slots whose content is its own prefix, copied parts of pages too.
    """

    page_size = 4

    def __init__(self) -> None:
        super().__init__()
        self._begin("lru", True)

    def _begin(self, eviction: str, copies: bool) -> None:
        self.cache = PrefixCache(NUM_PAGES, self.page_size, eviction, self._copy if copies else None)
        self.live: list[tuple[SequenceKV, list[int]]] = []
        self.content: dict[int, tuple[str, tuple[int, ...]]] = {}
        self.seconds = 0.0
        self.pins = Pins(self.cache, lambda: self.seconds)
        self.names: list[str] = []

    def _copy(self, pairs: Sequence[tuple[int, int]]) -> None:
        for source, target in pairs:
            assert self.cache.pool.ledger.owner(target // self.page_size) in (Owner.REQUEST, Owner.SESSION)
            self.content[target] = self.content[source]

    def _pick(self, index: int) -> tuple[SequenceKV, list[int]] | None:
        return self.live[index % len(self.live)] if self.live else None

    def _slot(self, sequence: SequenceKV, position: int) -> int:
        return sequence.pages[position // self.page_size] * self.page_size + position % self.page_size

    @initialize(
        prompts=st.lists(PROMPT, min_size=3, max_size=3),
        eviction=st.sampled_from(sorted(POLICIES)),
        copies=st.sampled_from([True, True, False]),
    )
    def begin(self, prompts: list[list[int]], eviction: str, copies: bool) -> None:
        """Three sequences that have run already, so that few rules find nothing to do."""
        self._begin(eviction, copies)
        for tokens in prompts:
            self.open(tokens, "", True)

    @rule(tokens=PROMPT, namespace=st.sampled_from(["", "", "other"]), runs=st.booleans())
    def open(self, tokens: list[int], namespace: str, runs: bool) -> None:
        if len(self.live) < 8:
            self.live.append((self.cache.open(namespace), list(tokens)))
            if runs:
                self._run(self.live[-1], len(tokens), True)

    @rule(index=st.integers(0, 7), count=st.sampled_from([1, 3, 5, 12, 30]), attach=st.booleans())
    def run(self, index: int, count: int, attach: bool) -> None:
        if (picked := self._pick(index)) is not None:
            self._run(picked, count, attach)

    def _run(self, picked: tuple[SequenceKV, list[int]], count: int, attach: bool) -> None:
        """One extend or decode: attach, reserve, write, as the scheduler does."""
        sequence, tokens = picked
        self.cache.hand_over(sequence, Owner.REQUEST)
        if attach:
            self.cache.attach(sequence, tokens)
        end = min(len(tokens), sequence.kv_len + count)
        if not self.cache.reserve(sequence, end):
            return
        for position in range(sequence.kv_len, end):
            assert position // self.page_size >= sequence.num_shared, "a shared page would be written"
            self.content[self._slot(sequence, position)] = (sequence.namespace, tuple(tokens[: position + 1]))
        sequence.kv_len = end

    @rule(index=st.integers(0, 7), tokens=st.lists(st.integers(0, 1), min_size=1, max_size=9))
    def grow(self, index: int, tokens: list[int]) -> None:
        if picked := self._pick(index):
            picked[1].extend(tokens)

    @rule(index=st.integers(0, 7))
    def commit(self, index: int) -> None:
        if picked := self._pick(index):
            self.cache.commit(*picked)

    @rule(index=st.integers(0, 7))
    def park(self, index: int) -> None:
        if picked := self._pick(index):
            self.cache.hand_over(picked[0], Owner.SESSION)

    @rule(index=st.integers(0, 7))
    def fork(self, index: int) -> None:
        picked = self._pick(index)
        if picked is None or len(self.live) >= 8:
            return
        child, copies = self.cache.fork(*picked)
        self._copy(copies)
        self.live.append((child, list(picked[1])))

    @rule(index=st.integers(0, 7), cut=st.integers(1, 12), commits=st.booleans())
    def truncate(self, index: int, cut: int, commits: bool) -> None:
        """Cuts tokens off whose KV stands, often within pages that are shared."""
        if picked := self._pick(index):
            if commits:
                self.cache.commit(*picked)
            length = max(0, picked[0].kv_len - cut)
            self.cache.truncate(picked[0], length)
            assert picked[0].kv_len <= length
            del picked[1][length:]
            if not picked[1]:
                picked[1].append(0)

    @rule(index=st.integers(0, 7), returns=st.sampled_from([None, True, False]), priority=st.integers(-1, 2))
    def foretell(self, index: int, returns: bool | None, priority: int) -> None:
        if picked := self._pick(index):
            picked[0].returns, picked[0].priority = returns, priority

    @rule(index=st.integers(0, 7))
    def give_way(self, index: int) -> None:
        """Retracted, or idle while others are short of memory: it may come back."""
        if picked := self._pick(index):
            self.cache.release(*picked)

    @rule(index=st.integers(0, 7), worthless=st.booleans())
    def close(self, index: int, worthless: bool) -> None:
        if picked := self._pick(index):
            if worthless:
                self.cache.detach(picked[0])
            self.cache.close(*picked)
            self.live.remove(picked)

    @rule(tokens=PROMPT, namespace=st.sampled_from(["", "other"]), ttl=st.sampled_from([1.0, 3.0, 50.0]))
    def pin(self, tokens: list[int], namespace: str, ttl: float) -> None:
        if len(self.pins.held) < 4:
            self.names.append(self.pins.add(tokens, ttl, namespace))

    @rule(index=st.integers(0, 7))
    def unpin(self, index: int) -> None:
        if self.names:
            self.pins.remove(self.names[index % len(self.names)])

    @rule(passed=st.sampled_from([0.5, 2.0, -5.0, 100.0]))
    def wait(self, passed: float) -> None:
        self.seconds += passed
        self.pins.expire()

    @rule()
    def give_up_a_pin(self) -> None:
        before = len(self.pins._pins)
        assert self.pins.give_up() == (before > 0)

    @rule(count=st.integers(1, 6))
    def evict(self, count: int) -> None:
        before = self.cache.pool.num_free
        freed = self.cache.tree.evict(count)
        assert self.cache.pool.num_free == before + freed
        assert freed >= count or self.cache.tree.num_evictable == 0

    @invariant()
    def books_balance(self) -> None:
        claims: dict[Owner, list[int]] = {Owner.REQUEST: [], Owner.SESSION: []}
        for sequence, _ in self.live:
            claims[sequence.holder].extend(sequence.private_pages)
        claims[Owner.FREE] = list(self.cache.pool.free_pages())
        claims[Owner.TREE] = self.cache.tree.all_pages()
        self.cache.pool.ledger.check(claims)
        self.cache.tree.check()

    @invariant()
    def every_sequence_holds_its_own_prefix(self) -> None:
        for sequence, tokens in self.live:
            assert sequence.kv_len <= len(sequence.pages) * self.page_size
            assert sequence.num_shared * self.page_size <= sequence.kv_len
            for position in range(sequence.kv_len):
                held = self.content[self._slot(sequence, position)]
                assert held == (sequence.namespace, tuple(tokens[: position + 1]))

    @invariant()
    def locks_are_exactly_those_of_sequences_and_pins(self) -> None:
        """Whatever no sequence and no pin leans on is evictable, and nothing else is."""
        holders = [sequence.node for sequence, _ in self.live] + [pin.node for pin in self.pins._pins.values()]
        locks = Counter(id(node) for holder in holders for node in holder.path())
        for node in self.cache.tree.root.walk():
            assert node.num_locks == locks[id(node)]

    @invariant()
    def what_is_waited_for_is_what_gave_way(self) -> None:
        awaited = [sequence.awaits for sequence, _ in self.live if sequence.awaits is not None]
        expected = Counter(id(node) for place in awaited for node in place.path())
        for node in self.cache.tree.root.walk():
            assert max(0, node.outlook) == expected[id(node)]

    def teardown(self) -> None:
        for sequence, tokens in self.live:
            self.cache.close(sequence, tokens)
        while self.pins.give_up():
            pass
        self.cache.tree.clear()
        self.cache.tree.check()
        assert self.cache.pool.num_free == NUM_PAGES


class CacheMachineOfSingleSlots(CacheMachine):
    """The same with a page size of 1, where nothing ever has a tail."""

    page_size = 1


# 500 runs of 50 steps: 25,000 steps for either page size.
MACHINE = settings(
    max_examples=500, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestPagesOfFour = CacheMachine.TestCase
TestPagesOfFour.settings = MACHINE
TestSingleSlots = CacheMachineOfSingleSlots.TestCase
TestSingleSlots.settings = MACHINE
TestPagesOfFour.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined]
TestSingleSlots.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined]
