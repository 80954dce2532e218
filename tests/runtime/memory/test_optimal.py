from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine import Engine
from runtime.memory.optimal import OptimalCache

Prompt = st.tuples(st.sampled_from(["", "x"]), st.lists(st.integers(0, 2), min_size=1, max_size=10))


@settings(deadline=None)
@given(st.lists(Prompt, max_size=20))
def test_against_every_earlier_prompt(prompts: list[tuple[str, list[int]]]) -> None:
    cache = OptimalCache()
    seen: list[tuple[str, list[int]]] = []
    hits = 0
    for namespace, tokens in prompts:
        longest = max((common(tokens, other) for their, other in seen if their == namespace), default=0)
        assert cache.match(tokens, namespace) == longest
        hits += min(longest, len(tokens) - 1)
        assert cache.ask(tokens, namespace) == min(longest, len(tokens) - 1)
        cache.learn(tokens, namespace)
        seen.append((namespace, tokens))
    total = sum(len(tokens) for _, tokens in prompts)
    assert (cache.hits, cache.hits + cache.misses) == (hits, total)


def common(one: list[int], other: list[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def test_its_memory_is_bounded() -> None:
    cache = OptimalCache(most_bytes=5000)
    for first in range(100):
        cache.learn([first] * 20)
    assert cache.is_full
    assert cache.num_bytes < 5000 + 20 * 4 + 600
    assert (cache.match([0] * 20), cache.match([99] * 20)) == (20, 0)


def test_what_is_computed_for_others_counts_as_theirs() -> None:
    cache = OptimalCache()
    cache.learn([1, 2, 3])
    cache.ask([1, 2, 3, 4], reads_prefix=False)
    assert (cache.hits, cache.misses) == (0, 1)


def test_an_engine_reaches_it_with_a_pool_that_is_large_enough(make_engine: Callable[..., Engine]) -> None:
    prompts = [[*range(10, 10 + n), *range(200, 210 + 3 * n)] for n in (33, 20, 33, 7)]
    rates = []
    for tokens in (4096, 96):
        engine = make_engine(page_size=1, max_total_tokens=tokens, measure_optimal_hit_rate=True)
        for prompt in [*prompts, *prompts]:
            engine.generate(input_ids=prompt[: tokens - 12], sampling_params={"max_new_tokens": 5})
        with engine.open() as session:
            session.append(prompts[0][:60])
            for child in session.fork(3):
                child.append([9])
                child.generate().result(timeout=20)
                child.close()
        stats = engine.stats()
        rates.append((stats["cache_hit_rate"], stats["cache_hit_rate_optimal"]))
    assert rates[0][0] == rates[0][1] > 0.5
    assert rates[1][0] < rates[1][1]


def test_it_is_measured_only_where_asked_for(engine: Engine) -> None:
    engine.generate(input_ids=[5] * 20, sampling_params={"max_new_tokens": 1})
    assert engine.stats()["cache_hit_rate_optimal"] is None
    assert engine.stats()["cache_hit_rate"] == 0.0
