"""Timeouts of requests in a running engine, on a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import InvalidParameter, RequestTimeout
from runtime.handle import Chunk, Handle
from runtime.sampling.params import SamplingParams

MakeEngine = Callable[..., Engine]
Clean = Callable[[Engine], None]


class Clock:
    def __init__(self, engine: Engine) -> None:
        self.now = 1000.0
        engine._core.scheduler.deadlines.clock = lambda: self.now


def _params(count: int, timeout: float | None = None, **more: Any) -> SamplingParams:
    return SamplingParams(max_new_tokens=count, temperature=0, ignore_eos=True, timeout=timeout, **more)


def _passes_after(clock: Clock, count: int) -> Callable[[Chunk | None], None]:
    """Called from the engine's thread with every chunk: after so many of them an hour has passed."""
    chunks: list[Chunk | None] = []

    def hear(chunk: Chunk | None) -> None:
        chunks.append(chunk)
        if len(chunks) == count:
            clock.now += 3600

    return hear


def _asleep(engine: Engine) -> None:
    done: Handle[None] = Handle()
    engine._core.post(lambda: done.finish(None))
    done.result(timeout=20)


def test_what_is_written_by_then_is_the_answer_and_the_session_goes_on(
    engine: Engine, assert_nothing_held: Clean
) -> None:
    clock = Clock(engine)
    whole = engine.generate(input_ids=[5, 6, 7], sampling_params=_params(20))["output_ids"]
    with engine.open() as session:
        session.append([5, 6, 7])
        handle = session.generate(_params(300, timeout=60.0))
        handle.subscribe(_passes_after(clock, 4))
        result = handle.result(timeout=60)
        assert result.finish_reason == "timeout"
        assert list(result.token_ids) == whole[: result.num_generated]
        assert 4 <= result.num_generated <= 5
        assert "".join(chunk.text for chunk in handle.chunks) == result.text
        following = session.generate(_params(2)).result(timeout=60)
        assert [*result.token_ids, *following.token_ids] == whole[: result.num_generated + 2]
    assert engine.stats()["timed_out_requests"] == 1
    assert engine.stats()["failed_requests"] == 0
    assert_nothing_held(engine)


def test_its_memory_is_given_back_in_the_step_that_finds_it_late(make_engine: MakeEngine) -> None:
    engine = make_engine(max_total_tokens=64, context_length=64, audit="step")
    clock = Clock(engine)
    core = engine._core
    held: list[int] = []
    with engine.open() as session:
        session.append([5, 6, 7])
        handle = session.generate(_params(40, timeout=60.0))
        handle.subscribe(_passes_after(clock, 3))
        session.close()
        look = lambda: held.append(core.cache.tree.num_protected)  # noqa: E731
        handle.subscribe(lambda chunk: core.post(look) if chunk is None else None)
        assert handle.result(timeout=60).finish_reason == "timeout"
        _asleep(engine)
    assert held == [0]
    assert engine.stats()["ledger"]["request"] == engine.stats()["ledger"]["session"] == 0


def test_whoever_was_given_no_token_in_time_fails_alone(make_engine: MakeEngine, assert_nothing_held: Clean) -> None:
    engine = make_engine(max_running_requests=1)
    clock = Clock(engine)
    with engine.open() as first, engine.open() as second, engine.open() as third:
        for number, session in enumerate((first, second, third)):
            session.append([5, 6, number])
        running = first.generate(_params(60))
        late, patient = second.generate(_params(4, timeout=60.0)), third.generate(_params(4, timeout=1e6))
        running.subscribe(lambda _: second.flush())
        running.subscribe(lambda _: third.flush())
        running.subscribe(_passes_after(clock, 10))
        first.flush()
        assert running.result(timeout=60).num_generated == 60
        with pytest.raises(RequestTimeout, match="without a token"):
            late.result(timeout=60)
        assert patient.result(timeout=60).finish_reason == "length"
    assert engine.stats()["timed_out_requests"] == engine.stats()["failed_requests"] == 1
    assert_nothing_held(engine)


def test_an_engine_with_nothing_else_to_do_wakes_for_a_deadline(engine: Engine, assert_nothing_held: Clean) -> None:
    """A request may wait for what nobody tells the loop of; here it is never offered a place at all."""
    core = engine._core
    core.scheduler._admission.offer = lambda plan, budget, **_: budget
    handle: Handle[Any]
    with engine.open() as session:
        session.append([5, 6])
        handle = session.generate(_params(4, timeout=0.05))
        with pytest.raises(RequestTimeout):
            handle.result(timeout=30)
    assert_nothing_held(engine)


def test_forced_tokens_that_wait_for_their_log_probabilities_get_them(
    engine: Engine, assert_nothing_held: Clean
) -> None:
    from grammars import Regex

    clock = Clock(engine)
    params = _params(
        200, timeout=60.0, constraint=Regex("[ab]forced text here that is long enough([xy]also forced){9}")
    )
    with engine.open() as session:
        session.append([5, 6, 7])
        handle = session.generate(params, top_logprobs=0)
        started = threading.Event()
        handle.subscribe(lambda _: started.set())
        handle.subscribe(_passes_after(clock, 2))
        result = handle.result(timeout=60)
    assert result.finish_reason == "timeout"
    assert result.num_forced > 0
    assert result.logprobs is not None
    assert len(result.logprobs) == len(result.token_ids)
    assert "".join(chunk.text for chunk in handle.chunks) == result.text
    assert_nothing_held(engine)


@pytest.mark.parametrize("timeout", [0, -1.0, float("inf"), float("nan"), True, "3"])
def test_a_timeout_is_a_positive_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(InvalidParameter, match="timeout"):
        SamplingParams(timeout=timeout)


def test_a_higher_priority_goes_on_in_the_place_of_a_lower_one_and_no_token_changes(
    make_engine: MakeEngine, assert_nothing_held: Clean
) -> None:
    engine = make_engine(max_running_requests=1)
    prompts = ([5, 6, 7], [8, 9])
    alone = [engine.generate(input_ids=ids, sampling_params=_params(60))["output_ids"] for ids in prompts]
    engine.flush_cache()
    order: list[str] = []
    with engine.open() as low, engine.open() as high:
        low.append(prompts[0])
        high.append(prompts[1])
        slow, quick = low.generate(_params(60)), high.generate(_params(60, priority=1))
        slow.subscribe(lambda chunk: order.append("slow") if chunk is None else None)
        quick.subscribe(lambda chunk: order.append("quick") if chunk is None else None)
        begun = threading.Event()
        slow.subscribe(lambda _: begun.set() or high.flush())  # type: ignore[func-returns-value]
        low.flush()
        results = [slow.result(timeout=60), quick.result(timeout=60)]
    assert [list(result.token_ids) for result in results] == alone
    assert order == ["quick", "slow"]
    assert engine.stats()["preemptions"] == 1
    assert_nothing_held(engine)
