"""Concatenation with something in the way: healed boundaries, begin tokens, wrong sessions, failures on any side."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded, EngineClosed, InvalidParameter, RequestCancelled, StepFailed
from runtime.sampling.params import SamplingParams
from runtime.session import Session
from runtime.tokenizer import Tokenizer

MakeEngine = Callable[..., Engine]
Clean = Callable[[Engine], None]
FullLogprobs = Callable[[list[int]], torch.Tensor]
GREEDY = SamplingParams(max_new_tokens=4, temperature=0, ignore_eos=True)


def text_of(engine: Engine, session: Session) -> str:
    tokens = [token for token, _ in session.tokens().result(timeout=20)]
    return engine.tokenizer.decode(tokens, skip_special_tokens=False)


@pytest.fixture
def held(engine: Engine) -> Iterator[threading.Event]:
    """Holds the engine's thread until it is set."""
    gate = threading.Event()
    engine._core.post(lambda: gate.wait(20) and None)
    yield gate
    gate.set()


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("is it th", ["ere", "in"]),  # the first token of the part spells the end of the beginning too
        ("the answer is ", ["yes", "true"]),
        ("caf", ["é crème", "é"]),
        ("is it ", ["x"]),  # nothing healed
    ],
)
@pytest.mark.parametrize("settings", [{}, {"page_size": 1, "chunked_prefill_size": 2}], ids=str)
def test_the_text_is_that_of_the_parts_where_their_first_tokens_were_healed(
    make_engine: MakeEngine, assert_nothing_held: Clean, text: str, choices: list[str], settings: dict[str, Any]
) -> None:
    engine = make_engine(**settings)
    session = engine.open()
    session.append("then the ")
    session.append(text)
    forks = session.fork(len(choices))
    for fork, choice in zip(forks, choices, strict=True):
        fork.score([choice, "xyz"], lambda rows: 0)
        fork.append("; ")
    session.concat(forks)
    assert text_of(engine, session) == "then the " + text + "".join(f"{choice}; " for choice in choices)
    session.generate(GREEDY).result(timeout=20)
    for each in (*forks, session):
        each.close()
    assert_nothing_held(engine)


def test_a_healed_part_that_stands_first_is_a_whole_prompt(
    engine: Engine, full_logprobs: FullLogprobs, assert_nothing_held: Clean
) -> None:
    session = engine.open()
    session.append("is it th")
    fork = session.fork(1)[0]
    fork.score(["ere"], lambda rows: 0)
    session.concat([fork])
    tokens = [token for token, _ in session.tokens().result(timeout=20)]
    result = session.generate(GREEDY, top_logprobs=0).result(timeout=20)
    table = full_logprobs([*tokens, *result.token_ids])
    assert result.logprobs is not None
    wanted = [float(table[len(tokens) - 1 + i][token]) for i, token in enumerate(result.token_ids)]
    assert [entry.logprob for entry in result.logprobs] == pytest.approx(wanted, abs=1e-4)
    fork.close()
    session.close()
    assert_nothing_held(engine)


def test_a_fork_that_went_back_behind_its_beginning_is_refused(engine: Engine, assert_nothing_held: Clean) -> None:
    session = engine.open()
    session.append([10, 11, 12])
    fork = session.fork(1)[0]
    fork.truncate(1)
    fork.append([99])
    with pytest.raises(InvalidParameter, match="behind its beginning"):
        session.concat([fork]).result(timeout=20)
    assert len(fork.tokens().result(timeout=20)) == 2  # the fork itself is as good as before
    fork.close()
    session.close()
    assert_nothing_held(engine)


def test_a_text_begins_once(make_engine: MakeEngine, bos_tokenizer: Tokenizer, assert_nothing_held: Clean) -> None:
    engine = make_engine(tokenizer=bos_tokenizer)
    session = engine.open()
    forks = session.fork(3)
    forks[0].append("the ")
    forks[2].append("then ")
    session.concat(forks)
    session.append("thing")
    encode = engine.tokenizer.encode
    wanted = [1, *encode("the "), *encode("then "), *encode("thing")]
    assert [token for token, _ in session.tokens().result(timeout=20)] == wanted
    session.generate(GREEDY).result(timeout=20)
    for each in (*forks, session):
        each.close()
    assert_nothing_held(engine)


def test_only_forks_of_the_session_are_taken_and_each_once(engine: Engine, assert_nothing_held: Clean) -> None:
    session, other = engine.open(), engine.open()
    session.append([10, 11])
    fork = session.fork(1)[0]
    deeper = fork.fork(1)[0]
    for wrong in ([other], [session], [deeper], [fork, other]):
        with pytest.raises(InvalidParameter, match="forks of the session"):
            session.concat(wrong)
    with pytest.raises(InvalidParameter, match="each fork once"):
        session.concat([fork, fork])
    fork.append([12])
    assert session.concat([fork]).result(timeout=20) == 1
    fork.append([13])
    assert session.concat([fork]).result(timeout=20) == 2  # all it holds, once more
    assert session.concat([]).result(timeout=20) == 0
    assert [token for token, _ in session.tokens().result(timeout=20)] == [10, 11, 12, 12, 13]
    for each in (deeper, fork, session, other):
        each.close()
    assert_nothing_held(engine)


def test_a_part_too_many_is_refused_by_name(make_engine: MakeEngine, assert_nothing_held: Clean) -> None:
    engine = make_engine(context_length=40)
    session = engine.open()
    session.append([10] * 10)
    forks = session.fork(2)
    for fork in forks:
        fork.append([20] * 20)
    with pytest.raises(ContextLengthExceeded, match="the prompt has 50 tokens; context_length=40"):
        session.concat(forks).result(timeout=20)
    assert len(forks[1].generate(GREEDY).result(timeout=20).token_ids) == 4
    with pytest.raises(ContextLengthExceeded):
        session.mark().result(timeout=20)
    for each in (*forks, session):
        each.close()
    assert_nothing_held(engine)


def test_a_failed_fork_fails_the_session_and_nobody_else(engine: Engine, assert_nothing_held: Clean) -> None:
    session = engine.open()
    session.append([10] * 10)
    bad, good = session.fork(2)
    good.append([30])
    bad.truncate(99)
    handle = session.concat([good, bad])
    with pytest.raises(InvalidParameter, match="num_tokens"):
        handle.result(timeout=20)
    with pytest.raises(InvalidParameter, match="num_tokens"):
        session.tokens().result(timeout=20)
    assert len(good.generate(GREEDY).result(timeout=20).token_ids) == 4
    for each in (bad, good, session):
        each.close()
    assert_nothing_held(engine)


@pytest.mark.parametrize("victim", ["parent", "fork", "both"])
@pytest.mark.parametrize("late", [False, True])
def test_cancelling_ends_everybody_who_waits(
    engine: Engine, assert_nothing_held: Clean, victim: str, late: bool
) -> None:
    session = engine.open()
    session.append([10] * 10)
    forks = session.fork(2)
    slow = forks[1].generate(SamplingParams(max_new_tokens=400, ignore_eos=True))
    forks[0].append([20])
    if late:
        next(iter(slow))
    handle = session.concat(forks)
    if victim != "fork":
        session.cancel()
    if victim != "parent":
        forks[1].cancel()
    with pytest.raises(RequestCancelled):
        handle.result(timeout=20)
    if late or victim == "fork":  # else the forks had not begun when the parent ended
        assert len(forks[0].generate(GREEDY).result(timeout=20).token_ids) == 4
    if victim == "parent":
        forks[1].cancel()
    for each in (*forks, session):
        each.close()
    assert_nothing_held(engine)


def test_closed_and_dropped_forks(engine: Engine, held: threading.Event, assert_nothing_held: Clean) -> None:
    session = engine.open()
    session.append([10] * 10)
    forks = session.fork(2)
    for place, fork in enumerate(forks):
        fork.append([20 + place])
    handle = session.concat(forks)
    forks.pop().close()  # after its part
    del fork
    forks.clear()  # dropped, though the concatenation is still to come
    gc.collect()
    held.set()
    assert handle.result(timeout=20) == 2
    gone = session.fork(1)[0]
    gone.append([30])
    gone.close()
    with pytest.raises(RequestCancelled):
        session.concat([gone]).result(timeout=20)
    session.close()
    assert_nothing_held(engine)


def test_a_step_that_fails_while_a_part_is_computed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, assert_nothing_held: Clean
) -> None:
    session = engine.open()
    session.append([10] * 10)
    fork = session.fork(1)[0]
    fork.mark().result(timeout=20)
    run = engine._core.runner.run

    def broken(batch: Any) -> Any:
        monkeypatch.setattr(engine._core.runner, "run", run)
        raise RuntimeError("out of luck")

    monkeypatch.setattr(engine._core.runner, "run", broken)
    fork.append([20])
    after = fork.fork(1)[0]
    with pytest.raises(StepFailed, match="out of luck"):
        session.concat([fork]).result(timeout=20)
    for each in (after, fork, session):
        each.close()
    assert_nothing_held(engine)


def test_shutting_down_ends_it(engine: Engine, held: threading.Event) -> None:
    session = engine.open()
    session.append([10] * 10)
    forks = session.fork(2)
    handles = [session.concat(forks), session.concat(forks)]
    halting = threading.Thread(target=engine.shutdown)
    halting.start()
    held.set()
    halting.join(timeout=20)
    for handle in handles:
        if handle.error() is not None:
            with pytest.raises(EngineClosed):
                handle.result(timeout=20)
        assert handle.done()
    with pytest.raises(EngineClosed):
        session.concat(forks).result(timeout=20)
