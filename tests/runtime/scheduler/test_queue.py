from __future__ import annotations

import random

from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.queue import WaitingQueue


def _request(priority: int = 0) -> Request:
    return Request(tokens=[1], sequence=PrefixCache(2, 1).open(), prompt_len=1, max_length=2, priority=priority)


def test_it_keeps_the_order_of_arrival_and_puts_back_at_the_front() -> None:
    queue = WaitingQueue()
    first, second, third = (_request() for _ in range(3))
    for request in (first, second, third):
        queue.add(request)
    queue.remove(second)
    queue.put_back(second)
    assert list(queue) == [second, first, third]
    assert len(queue) == 3
    assert third in queue
    queue.remove(third)
    assert third not in queue


def test_it_knows_the_highest_priority_of_those_who_wait_and_whether_they_differ() -> None:
    queue = WaitingQueue()
    assert (queue.highest_priority, queue.has_priorities) == (None, False)
    low, high = _request(-3), _request(7)
    queue.add(low)
    assert (queue.highest_priority, queue.has_priorities) == (-3, False)
    queue.put_back(high)
    assert (queue.highest_priority, queue.has_priorities) == (7, True)
    queue.remove(high)
    assert (queue.highest_priority, queue.has_priorities) == (-3, False)
    queue.remove(low)
    assert not queue


def test_removing_any_of_many_compares_with_none_of_the_others() -> None:
    class Counted(Request):
        comparisons = 0

        def __eq__(self, other: object) -> bool:
            Counted.comparisons += 1
            return self is other

        __hash__ = Request.__hash__

    queue = WaitingQueue()
    cache = PrefixCache(2, 1)
    requests = [Counted(tokens=[1], sequence=cache.open(), prompt_len=1, max_length=2) for _ in range(2000)]
    for request in requests:
        queue.add(request)
    random.Random(1).shuffle(requests)
    for request in requests:
        queue.remove(request)
    assert Counted.comparisons < 2 * len(requests)
    assert not queue
