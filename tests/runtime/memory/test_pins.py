from __future__ import annotations

import math

import pytest

from runtime.errors import InvalidParameter
from runtime.memory.cache import PrefixCache
from runtime.memory.pins import Pins

TOKENS = list(range(12))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def pinned(ttl_seconds: float = 10) -> tuple[PrefixCache, Pins, Clock, str]:
    cache, clock = PrefixCache(8, 4), Clock()
    sequence = cache.open()
    assert cache.reserve(sequence, len(TOKENS))
    sequence.kv_len = len(TOKENS)
    cache.release(sequence, TOKENS)
    pins = Pins(cache, clock)
    return cache, pins, clock, pins.add(TOKENS[:9], ttl_seconds)


def test_what_is_pinned_is_not_evicted_and_nothing_else_stays() -> None:
    cache, pins, _, name = pinned()
    assert pins.held == (8,)
    assert cache.tree.clear() == 4
    assert cache.tree.match(TOKENS, 12).length == 8
    assert pins.remove(name)
    assert not pins.remove(name)
    assert cache.tree.clear() == 8


def test_the_same_prefix_pinned_twice_needs_two_unpins() -> None:
    cache, pins, _, name = pinned()
    again = pins.add(TOKENS, 10)
    assert (name != again, sum(pins.held)) == (True, 20)
    pins.remove(again)
    assert cache.tree.num_protected == 8


def test_it_expires_when_its_time_is_over_and_not_before() -> None:
    cache, pins, clock, name = pinned()
    clock.now += 9.9
    pins.expire()
    assert (cache.tree.num_protected, pins.num_expired) == (8, 0)
    clock.now += 0.1
    assert pins.held == ()  # nobody has to wait for the next step to see it
    pins.expire()
    assert (cache.tree.num_protected, pins.num_expired, pins.remove(name)) == (0, 1, False)


def test_a_clock_that_jumps_back_neither_keeps_a_pin_forever_nor_drops_it() -> None:
    cache, pins, clock, _ = pinned()
    clock.now = -1e9
    late = pins.add(TOKENS, 5)
    pins.expire()
    assert len(pins.held) == 2
    clock.now = 105.0
    pins.expire()
    assert (len(pins.held), pins.remove(late)) == (1, False)
    clock.now = 110.0
    pins.expire()
    assert cache.tree.num_protected == 0


def test_a_clock_that_jumps_ahead_ends_all_but_the_endless() -> None:
    cache, pins, clock, _ = pinned()
    endless = pins.add(TOKENS, math.inf)
    clock.now = 1e12
    pins.expire()
    assert pins.held == (12,)
    assert pins.remove(endless)
    assert cache.tree.num_protected == 0


def test_the_one_that_expires_first_is_given_up_first() -> None:
    _, pins, _, _ = pinned()
    pins.add(TOKENS, 5)
    assert pins.give_up()
    assert (pins.held, pins.num_given_up) == ((8,), 1)
    assert pins.give_up()
    assert not pins.give_up()


@pytest.mark.parametrize("ttl", [0, -1, math.nan, True, "10", None])
def test_a_time_to_live_is_a_positive_number(ttl: object) -> None:
    _, pins, _, _ = pinned()
    with pytest.raises(InvalidParameter, match="ttl_seconds"):
        pins.add(TOKENS, ttl)  # type: ignore[arg-type]
