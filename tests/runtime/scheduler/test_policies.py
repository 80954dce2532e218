from __future__ import annotations

from runtime.hint import Hint
from runtime.memory.cache import PrefixCache
from runtime.program_run import ProgramRun
from runtime.request import Request
from runtime.scheduler.policies import (
    MATCHED_QUEUE_LIMIT,
    POLICIES,
    PROGRAM_PATIENCE,
    by_priority,
    dfs_weight,
    fcfs,
    lpm,
    priority,
    program,
)


def _cached(cache: PrefixCache, tokens: list[int]) -> None:
    sequence = cache.open()
    assert cache.reserve(sequence, len(tokens))
    sequence.kv_len = len(tokens)
    cache.release(sequence, tokens)


def _request(cache: PrefixCache, tokens: list[int]) -> Request:
    return Request(tokens=tokens, sequence=cache.open(), prompt_len=len(tokens), max_length=len(tokens) + 1)


def test_fcfs_keeps_the_order_of_arrival() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    waiting = [_request(cache, [9, 9]), _request(cache, [*range(8), 1]), _request(cache, [5])]
    assert fcfs(waiting, cache, 0) == waiting


def test_lpm_takes_the_longest_cached_prefix_first_and_else_the_order_of_arrival() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    none, also_none = _request(cache, [9, 9]), _request(cache, [7])
    short, long = _request(cache, [0, 1, 2, 3, 9, 9]), _request(cache, [*range(8), 1])
    assert lpm([none, short, also_none, long], cache, 0) == [long, short, none, also_none]


def test_lpm_puts_retracted_requests_before_all() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    long, retracted = _request(cache, [*range(8), 1]), _request(cache, [7])
    retracted.num_retractions = 1
    assert lpm([long, retracted], cache, 0) == [retracted, long]


def test_lpm_sees_that_the_tree_has_changed() -> None:
    cache = PrefixCache(16, 4)
    first, second = _request(cache, [9, 9]), _request(cache, [*range(8), 1])
    assert lpm([first, second], cache, 0) == [first, second]
    _cached(cache, list(range(8)))
    assert lpm([first, second], cache, 0) == [second, first]
    cache.tree.clear()
    assert lpm([first, second], cache, 0) == [first, second]


def test_lpm_keeps_the_order_of_arrival_in_long_queues() -> None:
    cache = PrefixCache(16, 4)
    _cached(cache, list(range(8)))
    waiting = [_request(cache, [50 + i]) for i in range(MATCHED_QUEUE_LIMIT)] + [_request(cache, [*range(8), 1])]
    assert lpm(waiting, cache, 0) == waiting


def test_an_order_neither_loses_nor_changes_the_queue() -> None:
    cache = PrefixCache(16, 4)
    waiting = [_request(cache, [i]) for i in range(5)]
    for order in POLICIES.values():
        before = list(waiting)
        assert sorted(map(id, order(waiting, cache, 0))) == sorted(map(id, before))
        assert waiting == before


def test_higher_priorities_come_first_and_equals_keep_the_policys_order() -> None:
    cache = PrefixCache(16, 4)
    low, high, also_low, also_high = (_request(cache, [i]) for i in range(4))
    high.priority = also_high.priority = 10**9
    low.priority = also_low.priority = -2
    assert by_priority([low, high, also_low, also_high], False) == [high, also_high, low, also_low]
    low.turn = high.turn = also_high.turn = 3
    assert by_priority([low, high, also_low, also_high], True) == [also_low, high, also_high, low]


def _of_run(cache: PrefixCache, run: ProgramRun, tokens: list[int], remaining: int | None = None) -> Request:
    request = _request(cache, tokens)
    request.run = run
    request.hint = None if remaining is None else Hint(remaining_tokens=remaining)
    return request


def test_dfs_weight_goes_down_the_prefix_most_of_the_waiting_share() -> None:
    cache = PrefixCache(32, 4)
    for prefix in ([1] * 4, [2] * 4, [2] * 4 + [3] * 4):
        _cached(cache, prefix)
    lonely, none = _request(cache, [1] * 4 + [9]), _request(cache, [7])
    deep, shallow = _request(cache, [2] * 4 + [3] * 4 + [9]), _request(cache, [2] * 4 + [8])
    also_deep = _request(cache, [2] * 4 + [3] * 4 + [8])
    ordered = dfs_weight([none, lonely, shallow, deep, also_deep], cache, 0)
    assert ordered == [deep, also_deep, shallow, lonely, none]


def test_dfs_weight_keeps_those_together_whose_prefixes_weigh_the_same() -> None:
    cache = PrefixCache(32, 4)
    _cached(cache, [1] * 4)
    _cached(cache, [2] * 4)
    first, second, also_first, also_second = (_request(cache, [i] * 4 + [9]) for i in (1, 2, 1, 2))
    assert dfs_weight([first, second, also_first, also_second], cache, 0) == [first, also_first, second, also_second]


def test_priority_puts_higher_ones_first_and_equals_in_order_of_arrival() -> None:
    cache = PrefixCache(16, 4)
    waiting = [_request(cache, [i]) for i in range(4)]
    for request, number in zip(waiting, [0, 5, 0, 5], strict=True):
        request.priority = number
    assert priority(waiting, cache, 0) == [waiting[1], waiting[3], waiting[0], waiting[2]]


def test_program_finishes_what_is_started_before_anything_new() -> None:
    cache = PrefixCache(16, 4)
    early, late, fresh = ProgramRun("p", 0, 1), ProgramRun("p", 2, 3), ProgramRun("p", 1)
    of_fresh, of_late, of_early = (_of_run(cache, run, [i]) for i, run in enumerate((fresh, late, early)))
    assert program([of_fresh, of_late, of_early], cache, 0) == [of_early, of_late, of_fresh]


def test_program_keeps_a_run_together_with_the_longest_way_to_go_first() -> None:
    cache = PrefixCache(16, 4)
    one, other = ProgramRun("p", 0, 1), ProgramRun("p", 1, 1)
    short, long = _of_run(cache, one, [1], 10), _of_run(cache, one, [2], 500)
    between, unknown = _of_run(cache, other, [3], 90), _of_run(cache, one, [4])
    assert program([short, between, unknown, long], cache, 0) == [long, short, unknown, between]


def test_program_puts_whoever_has_waited_very_long_before_all() -> None:
    cache = PrefixCache(16, 4)
    started, fresh = ProgramRun("p", 0, 1), ProgramRun("p", 9)
    old, quick = _of_run(cache, fresh, [1]), _of_run(cache, started, [2])
    quick.turn = PROGRAM_PATIENCE
    assert program([old, quick], cache, PROGRAM_PATIENCE - 1) == [quick, old]
    assert program([old, quick], cache, PROGRAM_PATIENCE) == [old, quick]


def test_program_offers_the_started_of_a_long_queue_first_wherever_they_stand() -> None:
    cache = PrefixCache(16, 4)
    waiting = [_of_run(cache, ProgramRun("p", i), [i]) for i in range(1000)]
    waiting[700].run.num_started = 1
    ordered = program(waiting, cache, 0)
    assert ordered == [waiting[700], *waiting[:700], *waiting[701:]]
