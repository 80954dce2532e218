"""What each policy evicts first, and that hints reach it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import pytest

from runtime.config import EngineConfig, Eviction
from runtime.engine import Engine
from runtime.errors import ConfigError
from runtime.hint import Hint
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.eviction import POLICIES
from runtime.memory.sequence import SequenceKV
from runtime.sampling.params import SamplingParams

OLD, MIDDLE, NEW = ([start] * 4 for start in (10, 20, 30))


def ran(cache: PrefixCache, tokens: Sequence[int], *, priority: int = 0, returns: bool | None = None) -> SequenceKV:
    """A sequence that has computed its tokens, one page of them each."""
    sequence = cache.open()
    sequence.priority, sequence.returns = priority, returns
    cache.attach(sequence, [*tokens, 0])
    assert cache.reserve(sequence, len(tokens))
    sequence.kv_len = len(tokens)
    cache.commit(sequence, tokens)
    return sequence


def done(cache: PrefixCache, tokens: Sequence[int], **known: int | bool | None) -> None:
    cache.close(ran(cache, tokens, **known), tokens)  # type: ignore[arg-type]


def order(cache: PrefixCache, prompts: Sequence[Sequence[int]] = (OLD, MIDDLE, NEW)) -> list[Sequence[int]]:
    """The prompts as they are evicted, page by page."""
    gone: list[Sequence[int]] = []
    while cache.tree.evict(1):
        gone += [p for p in prompts if p not in gone and cache.tree.match(p, len(p)).length < len(p)]
        cache.tree.check()
    return gone


def test_the_setting_names_the_registry() -> None:
    assert set(get_args(Eviction)) == set(POLICIES)
    with pytest.raises(ConfigError, match="eviction='oldest' is not allowed: one of lru, lfu"):
        EngineConfig.of({"eviction": "oldest"})


@pytest.mark.parametrize(
    ("eviction", "expected"),
    [
        ("lru", [MIDDLE, NEW, OLD]),
        ("mru", [OLD, NEW, MIDDLE]),
        ("fifo", [OLD, MIDDLE, NEW]),
        ("lfu", [MIDDLE, NEW, OLD]),
        ("slru", [MIDDLE, NEW, OLD]),
    ],
)
def test_the_oldest_used_again(eviction: str, expected: list[list[int]]) -> None:
    cache = PrefixCache(8, 4, eviction)
    for tokens in (OLD, MIDDLE, NEW, OLD):
        done(cache, tokens)
    assert order(cache) == expected


def test_frequency_counts_before_recency_and_segments_only_once() -> None:
    for eviction, expected in (("lfu", [NEW, MIDDLE, OLD]), ("slru", [NEW, OLD, MIDDLE]), ("lru", [OLD, MIDDLE, NEW])):
        cache = PrefixCache(8, 4, eviction)
        for tokens in (OLD, OLD, OLD, MIDDLE, MIDDLE, NEW):
            done(cache, tokens)
        assert order(cache) == expected


def test_priority_is_the_highest_of_those_that_used_it() -> None:
    cache = PrefixCache(8, 4, "priority")
    done(cache, OLD, priority=2)
    done(cache, MIDDLE, priority=1)
    done(cache, NEW)
    done(cache, OLD)
    assert order(cache) == [NEW, MIDDLE, OLD]
    cache = PrefixCache(8, 4, "priority")
    done(cache, OLD)
    done(cache, MIDDLE, priority=-1)
    done(cache, OLD, priority=3)
    assert order(cache, [OLD, MIDDLE]) == [MIDDLE, OLD]


def test_what_a_live_program_comes_back_to_goes_last_and_what_it_left_behind_first() -> None:
    cache = PrefixCache(8, 4, "program")
    live = ran(cache, OLD, returns=True)
    cache.release(live, OLD)
    done(cache, MIDDLE)
    done(cache, NEW, returns=False)
    assert order(cache) == [NEW, MIDDLE, OLD]


def test_a_program_that_ends_or_is_back_is_not_waited_for() -> None:
    cache = PrefixCache(8, 4, "program")
    ended, back = ran(cache, OLD, returns=True), ran(cache, MIDDLE, returns=True)
    cache.release(ended, OLD)
    cache.release(back, MIDDLE)
    done(cache, NEW)
    ended.returns = False
    cache.close(ended, OLD)
    cache.attach(back, [*MIDDLE, 0])
    assert back.kv_len == 4
    back.returns = None
    cache.close(back, MIDDLE)
    assert order(cache) == [OLD, NEW, MIDDLE]
    assert cache.pool.num_free == 8


def test_a_retracted_request_is_waited_for_without_a_hint() -> None:
    cache = PrefixCache(8, 4, "program")
    retracted = ran(cache, OLD)
    cache.hand_over(retracted, Owner.REQUEST)
    cache.release(retracted, OLD)
    done(cache, MIDDLE)
    assert order(cache, [OLD, MIDDLE]) == [MIDDLE, OLD]


def test_what_others_took_over_is_no_private_tail() -> None:
    cache = PrefixCache(8, 4, "program")
    done(cache, MIDDLE)
    first = ran(cache, [*OLD, 1, 1, 1, 1], returns=False)
    done(cache, [*OLD, 2, 2, 2, 2])
    cache.close(first, [*OLD, 1, 1, 1, 1])
    assert order(cache, [[*OLD, 1, 1, 1, 1], MIDDLE, OLD])[:2] == [[*OLD, 1, 1, 1, 1], MIDDLE]


def test_forks_share_what_their_parent_made() -> None:
    cache = PrefixCache(8, 4, "program")
    parent = ran(cache, OLD, returns=False)
    child, _ = cache.fork(parent, OLD)
    cache.close(parent, OLD)
    cache.close(child, OLD)
    done(cache, MIDDLE, returns=False)
    assert order(cache, [OLD, MIDDLE]) == [MIDDLE, OLD]


def test_an_evicted_node_can_still_be_dismissed() -> None:
    cache = PrefixCache(4, 4, "program")
    tokens = [*OLD, *MIDDLE]
    live = ran(cache, OLD, returns=True)
    live.kv_len = 4
    cache.reserve(live, 8)
    live.kv_len = 8
    cache.release(live, tokens)
    assert cache.tree.evict(1) == 1
    assert {node.outlook for node in cache.tree.root.walk()} == {1}
    cache.attach(live, [*tokens, 0])
    assert live.kv_len == 4
    assert {node.outlook for node in cache.tree.root.walk()} == {0}
    cache.close(live, OLD)
    cache.tree.check()


def test_an_engine_goes_by_what_its_programs_say(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(eviction="program")
    for token, again in ((10, None), (11, False)):
        session = engine.open()
        session.append([token] * 20)
        session.generate(SamplingParams(max_new_tokens=1)).result(timeout=20)
        if again is not None:
            session.hint(Hint(extends_again=again))
        session.close()
    engine.generate("x", {"max_new_tokens": 1})
    outlooks = {node.outlook for node in engine._core.cache.tree.root.walk()}
    assert outlooks == {0, -1}
