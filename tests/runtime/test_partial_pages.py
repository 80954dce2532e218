"""A match that ends inside a page: the part that fits is copied, and the tokens are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine

COMMON = [10 + i % 7 for i in range(40)]  # two pages and a half
ASK = {"max_new_tokens": 12, "temperature": 0.0}


def run(engine: Engine, tokens: list[int]) -> tuple[list[int], int]:
    answer: dict[str, Any] = engine.generate(input_ids=tokens, sampling_params=ASK)
    return answer["output_ids"], answer["meta_info"]["cached_tokens"]


@pytest.mark.parametrize(
    ("length", "cached"),
    [(40, 40), (33, 33), (32, 32), (31, 31), (47, 40), (1, 1), (15, 15)],
)
def test_every_common_token_is_taken_over(make_engine: Callable[..., Engine], length: int, cached: int) -> None:
    mine = [*COMMON[:length], *[60] * (length - len(COMMON)), 50, 51, 52]
    expected, nothing = run(make_engine(page_size=16), mine)
    assert nothing == 0
    engine = make_engine(page_size=16)
    run(engine, [*COMMON, *range(70, 90)])
    before = engine.stats()["computed_tokens"]
    assert run(engine, mine) == (expected, cached)
    assert engine.stats()["computed_tokens"] - before == len(mine) - cached  # what was copied is not run again


def test_among_siblings_the_one_that_shares_most_is_taken(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(page_size=16)
    for start in (20, 30, 24):
        run(engine, [*COMMON[:32], *range(20, start), *[99] * 20])
    assert run(engine, [*COMMON[:32], *range(20, 28), 7])[1] == 40


def test_one_token_is_left_to_run(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(page_size=16)
    expected, _ = run(engine, [*COMMON, *COMMON])
    assert run(engine, COMMON)[1] == 39
    assert run(engine, [*COMMON, *COMMON]) == (expected, 79)


def test_other_namespaces_give_nothing_away(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(page_size=16)
    run(engine, COMMON)
    with engine.open(namespace="other") as session:
        session.append(COMMON[:12])
        assert session.generate().result(timeout=20).cached_tokens == 0


def test_a_full_pool_copies_into_what_it_evicts(make_engine: Callable[..., Engine]) -> None:
    """The page that is copied is not the one that is evicted for the copy."""
    expected, _ = run(make_engine(page_size=16), [*COMMON[:40], 50, 51])
    engine = make_engine(page_size=16, max_total_tokens=64)
    run(engine, [*COMMON, *[60] * 8])
    assert run(engine, [*COMMON[:40], 50, 51]) == (expected, 40)
