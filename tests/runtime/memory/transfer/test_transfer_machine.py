"""Any sequence of events on both sides of a transfer: the books of every rank stay right, and nothing is lost."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from runtime.memory.transfer.decode import ReceivingStage
from runtime.memory.transfer.prefill import SendingStage

PLACE = st.integers(0, 1000)


class Transfers(RuleBasedStateMachine):
    """Requests come, go from side to side, grow, end, and are given up, while messages take their time."""

    pairs: ClassVar[Any]

    @initialize(prefill=st.integers(1, 4), decode=st.integers(1, 3), page_size=st.sampled_from([1, 16]))
    def start(self, prefill: int, decode: int, page_size: int) -> None:
        self.pair = self.pairs(prefill, decode, prefill_pages=9, decode_pages=7, page_size=page_size)
        self.num_requests = 0

    def _pick(self, place: int, side: Any, stage: Any = None) -> Any:
        ones = [one for one in side if stage is None or one.stage is stage]
        return ones[place % len(ones)] if ones else None

    @rule(pages=st.integers(1, 10), off=st.integers(0, 15))
    def admit(self, pages: int, off: int) -> None:
        size = self.pair.page_size
        self.num_requests += 1
        assert self.pair.decode.admit(self.num_requests, max(1, pages * size - off % size)) == (pages <= 7)

    @rule(to_prefill=st.booleans(), count=st.integers(1, 4))
    def deliver(self, to_prefill: bool, count: int) -> None:
        for _ in range(count):
            self.pair.deliver(to_prefill)

    @rule(place=PLACE)
    def reserve(self, place: int) -> None:
        if one := self._pick(place, self.pair.decode, ReceivingStage.READY):
            self.pair.decode.reserve(one.request)

    @rule(place=PLACE)
    def begin(self, place: int) -> None:
        if one := self._pick(place, self.pair.prefill, SendingStage.MATCHED):
            self.pair.prefill.begin(one.request)

    @rule(place=PLACE)
    def compute(self, place: int) -> None:
        if one := self._pick(place, self.pair.prefill, SendingStage.COMPUTING):
            self.pair.prefill.computed(one.request)

    @rule(place=PLACE, ranks=st.integers(1, 4))
    def send(self, place: int, ranks: int) -> None:
        if one := self._pick(place, self.pair.prefill, SendingStage.SENDING):
            for rank in sorted(one.unsent)[:ranks]:
                self.pair.prefill.sent(one.request, rank)

    @rule(place=PLACE, num_tokens=st.integers(1, 40))
    def grow(self, place: int, num_tokens: int) -> None:
        if one := self._pick(place, self.pair.decode, ReceivingStage.RUNNING):
            self.pair.decode.grow(one.request, num_tokens)

    @rule(place=PLACE)
    def end(self, place: int) -> None:
        if one := self._pick(place, self.pair.decode):
            self.pair.decode.end(one.request)

    @rule(place=PLACE)
    def fail(self, place: int) -> None:
        if one := self._pick(place, self.pair.prefill):
            self.pair.prefill.fail(one.request)

    @rule()
    def lose(self) -> None:
        self.pair.lose()

    @rule(count=st.integers(1, 3))
    def advance(self, count: int) -> None:
        for _ in range(count):
            self.pair.advance()

    @invariant()
    def the_books_are_right(self) -> None:
        if hasattr(self, "pair"):
            self.pair.check()

    def teardown(self) -> None:
        if not hasattr(self, "pair") or sys.exc_info()[0] is not None:
            return
        for _ in range(1000):
            moved = self.pair.advance()
            running = [one for one in self.pair.decode if one.stage is ReceivingStage.RUNNING]
            for one in running:
                self.pair.decode.end(one.request)
            if not moved and not running:
                break
        self.pair.assert_nothing_held()


def test_any_sequence_of_events_leaves_nothing_behind(make_pair: Any) -> None:
    limits = settings(max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(type("OnPairs", (Transfers,), {"pairs": make_pair}), settings=limits)
