from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import InvalidParameter, PoolCapacityExceeded

PREFIX = [10 + i % 50 for i in range(64)]


def cached(engine: Engine, tokens: list[int], most: int = 1) -> int:
    answer: dict[str, Any] = engine.generate(input_ids=tokens, sampling_params={"max_new_tokens": most})
    found: int = answer["meta_info"]["cached_tokens"]
    return found


def test_a_pinned_prefix_outlives_what_evicts_everything_else(
    make_engine: Callable[..., Engine], assert_nothing_held: Callable[[Engine], None]
) -> None:
    engine = make_engine(max_total_tokens=160)
    name = engine.pin(PREFIX, 1000)
    stats = engine.stats()
    assert (stats["pins"], stats["pinned_tokens"], stats["computed_tokens"]) == (1, 64, 64)
    for first in range(100, 105):
        cached(engine, [first] * 90)
    assert engine.flush_cache() > 0
    assert cached(engine, [*PREFIX, 5]) == 64
    assert engine.unpin(name)
    assert not engine.unpin(name)
    assert engine.stats()["pins"] == 0
    assert_nothing_held(engine)


def test_what_is_cached_is_not_computed_again(engine: Engine) -> None:
    cached(engine, [*PREFIX, 5])
    before = engine.stats()["computed_tokens"]
    engine.unpin(engine.pin(PREFIX, 1000))
    assert engine.stats()["computed_tokens"] == before + 1  # the last token is always run


def test_text_is_pinned_as_a_prompt_of_it_is_tokenized(engine: Engine) -> None:
    text = "the answer is yes or no, true or false; über größe, été à l'école " * 3
    engine.pin(text, 1000)
    answer = engine.generate(text + " and that is all", {"max_new_tokens": 1})
    assert answer["meta_info"]["cached_tokens"] >= 16


def test_it_ends_with_its_time(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    engine._core.pins._clock = lambda: 0.0
    engine.pin(PREFIX, 10)
    engine._core.pins._clock = lambda: 11.0
    cached(engine, [1, 2, 3])
    assert (engine.stats()["pins"], engine.stats()["pins_expired"]) == (0, 1)
    assert engine._core.cache.tree.num_protected == 0


def test_what_cannot_be_pinned_is_refused(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(max_total_tokens=64)
    with pytest.raises(PoolCapacityExceeded, match="65 tokens; max_total_tokens=64"):
        engine.pin([*PREFIX, 7], 10)
    with pytest.raises(InvalidParameter, match=r"ttl_seconds=0 .*above 0"):
        engine.pin(PREFIX, 0)
    with pytest.raises(InvalidParameter, match=r"15 tokens.*at least a page of 16"):
        engine.pin(PREFIX[:15], 10)
    assert engine.stats()["pins"] == 0
    engine.pin(PREFIX, 10)


def test_a_request_that_fits_alone_is_never_stopped_by_pins(make_engine: Callable[..., Engine]) -> None:
    """Neither when it begins nor when it grows; the pin that ends first goes, and is counted."""
    engine = make_engine(max_total_tokens=96)
    for first, ttl in ((20, 50), (40, 100), (60, 20)):
        engine.pin([first] * 32, ttl)
    assert cached(engine, [7] * 20) == 0
    assert engine.stats()["pins_given_up"] == 1
    answer = engine.generate(
        input_ids=[8] * 20, sampling_params={"max_new_tokens": 70, "min_new_tokens": 70, "ignore_eos": True}
    )
    assert len(answer["output_ids"]) == 70
    assert engine.stats()["pins_given_up"] == 3


def test_pins_do_not_give_way_to_a_second_request(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(max_total_tokens=96)
    engine.pin([20] * 32, 100)
    answers = engine.generate(
        input_ids=[[7] * 30, [8] * 30, [9] * 30], sampling_params={"max_new_tokens": 20, "ignore_eos": True}
    )
    assert [len(answer["output_ids"]) for answer in answers] == [20] * 3
    assert (engine.stats()["pins"], engine.stats()["pins_given_up"]) == (1, 0)
