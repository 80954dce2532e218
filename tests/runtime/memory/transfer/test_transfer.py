"""One request's way from side to side, and every point at which either side can give it up."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.transfer.decode import ReceivingStage
from runtime.memory.transfer.messages import Kind, Message
from runtime.memory.transfer.prefill import SendingStage

NUM_POINTS = 14
"""Single steps of one transfer with four prefill ranks, before the first of which, and after each, it may end."""

END: dict[str, Callable[[Any], None]] = {
    "decode aborts": lambda pair: pair.decode.end(1),
    "prefill fails": lambda pair: pair.prefill.fail(1),
    "both": lambda pair: (pair.decode.end(1), pair.prefill.fail(1)),
    "the connection is lost": lambda pair: pair.lose(),
}


def walk(pair: Any, num_steps: int) -> None:
    """The first steps of a transfer that goes well, one by one."""
    steps: list[Callable[[], object]] = [
        lambda: pair.decode.admit(1, 100),
        lambda: pair.deliver(to_prefill=True),
        lambda: pair.deliver(to_prefill=False),
        lambda: pair.decode.reserve(1),
        lambda: pair.deliver(to_prefill=True),
        lambda: pair.prefill.begin(1),
        lambda: pair.prefill.computed(1),
        *[lambda rank=rank: pair.prefill.sent(1, rank) for rank in range(4)],
        lambda: pair.deliver(to_prefill=False),
        lambda: pair.decode.grow(1, 30),
    ]
    assert len(steps) == NUM_POINTS - 1
    for step in steps[:num_steps]:
        step()
        pair.check()


def test_pages_go_through_the_owners_they_should(pair: Any) -> None:
    walk(pair, 4)
    assert [one.stage for one in pair.decode] == [ReceivingStage.RECEIVING]
    rank = next(iter(pair.decode)).rank
    assert pair.decode.ranks.pools[rank].ledger.slots(Owner.IN_TRANSFER) == 112
    assert pair.prefill.ranks.tables()["prefill-0"]["free"] == 640, "queued requests hold nothing"
    assert not pair.prefill.is_idle, "but they count"
    pair.deliver(to_prefill=True)
    assert pair.prefill.begin(1)
    pair.prefill.computed(1)
    for done in range(3):
        pair.prefill.sent(1, done)
    for pool in pair.prefill.ranks.pools:
        assert pool.ledger.slots(Owner.IN_TRANSFER) == 112, "no rank gives its pages up before the last has sent"
    pair.prefill.sent(1, 3)
    assert pair.prefill.is_idle
    pair.deliver(to_prefill=False)
    assert pair.decode.ranks.pools[rank].ledger.slots(Owner.REQUEST) == 112
    pair.decode.end(1)
    pair.assert_nothing_held()


@pytest.mark.parametrize("how", END)
@pytest.mark.parametrize("num_steps", range(NUM_POINTS))
def test_ended_at_any_point_nothing_is_held(pair: Any, num_steps: int, how: str) -> None:
    walk(pair, num_steps)
    END[how](pair)
    pair.check()
    while pair.advance():
        pair.check()
    pair.decode.end(1)
    while pair.advance():
        pair.check()
    assert not pair.failed or pair.failed == [1]
    pair.assert_nothing_held()


def test_given_up_pages_are_not_free_before_the_writer_has_stopped(pair: Any) -> None:
    walk(pair, 8)
    pair.decode.end(1)
    assert [one.stage for one in pair.decode] == [ReceivingStage.DRAINING]
    assert [one.stage for one in pair.prefill] == [SendingStage.SENDING]
    pair.check()
    pair.deliver(to_prefill=True)
    assert pair.prefill.is_idle
    assert not pair.decode.is_idle
    assert pair.deliver(to_prefill=False)
    pair.assert_nothing_held()


def test_what_never_fits_is_refused_by_whoever_cannot_hold_it(make_pair: Any) -> None:
    pair = make_pair(prefill_pages=4, decode_pages=8)
    assert not pair.decode.admit(1, 8 * 16 + 1)
    assert pair.decode.admit(2, 5 * 16)
    while pair.advance():
        pair.check()
    assert pair.failed == [2]
    pair.assert_nothing_held()


@pytest.mark.parametrize(
    "message",
    [Message(Kind.DONE, 1), Message(Kind.STOPPED, 1), Message(Kind.PAGES, 1), Message(Kind.READY, 1)],
    ids=lambda message: message.kind.value,
)
def test_a_message_out_of_turn_is_an_error_and_moves_nothing(pair: Any, message: Message) -> None:
    walk(pair, 3)
    before = pair.decode.ranks.tables()
    with pytest.raises(LedgerError, match="request 1"):
        pair.decode.receive(message)
    assert pair.decode.ranks.tables() == before
    pair.check()


def test_a_rank_that_reports_twice_is_an_error(pair: Any) -> None:
    walk(pair, 8)
    with pytest.raises(LedgerError, match="rank 0 has sent its share twice"):
        pair.prefill.sent(1, 0)
    with pytest.raises(LedgerError, match="request 1 is sending, not computing"):
        pair.prefill.computed(1)
    with pytest.raises(LedgerError, match="request 9 is not on the prefill side"):
        pair.prefill.begin(9)


@pytest.mark.parametrize("seed", range(4))
def test_256_requests_with_aborts_and_failures_at_every_point_leave_nothing(make_pair: Any, seed: int) -> None:
    dice = random.Random(seed)
    pair = make_pair(num_prefill=8, num_decode=8, prefill_pages=60, decode_pages=30)
    for number in range(256):
        assert pair.decode.admit(number, dice.randint(1, 300))
    ends, rounds = 0, 0
    while pair.advance() or list(pair.decode):
        rounds += 1
        assert rounds < 5000, "no end in sight"
        for one in pair.decode:
            fate = dice.random()
            if fate < 0.02:
                pair.decode.end(one.request)
                ends += 1
            elif fate < 0.04:
                pair.prefill.fail(one.request)
                ends += 1
            elif one.stage is ReceivingStage.RUNNING and (fate > 0.8 or not pair.decode.grow(one.request, 5)):
                pair.decode.end(one.request)
        if dice.random() < 0.002:
            pair.lose()
        pair.check()
    assert ends > 50
    assert pair.failed
    pair.assert_nothing_held()


def test_after_an_abort_of_everything_pages_are_back_within_two_messages_each(make_pair: Any) -> None:
    """Recovery takes a fixed number of messages a request, however long it is, and none where nothing was moving."""
    pair = make_pair(prefill_pages=400, decode_pages=200)
    for number in range(256):
        pair.decode.admit(number, 1 + 7 * number % 160)
    for _ in range(6):
        pair.advance()
    stages = {one.stage for one in pair.decode}
    assert stages == {ReceivingStage.READY, ReceivingStage.RECEIVING, ReceivingStage.RUNNING} or len(stages) > 1
    left = len(pair.to_decode) + len(pair.to_prefill)
    before, num_requests = pair.num_messages, len(list(pair.decode))
    for one in pair.decode:
        pair.decode.end(one.request)
    while pair.deliver(to_prefill=True) or pair.deliver(to_prefill=False):
        pair.check()
    assert pair.num_messages - before <= left + 2 * num_requests
    pair.assert_nothing_held()
