from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from grammars import Regex
from grammars.errors import InvalidSpec
from runtime.choosing import Choosing
from runtime.engine import Engine
from runtime.errors import (
    ConfigError,
    ContextLengthExceeded,
    EngineClosed,
    InvalidParameter,
    RequestCancelled,
    UnknownModel,
)
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams
from runtime.server.errors import problem_of
from runtime.server.remote.remote_engine import RemoteEngine
from runtime.server.served_engine import ServedEngine, ServedSession

GREEDY = SamplingParams(max_new_tokens=12, temperature=0.0)
SEEDED = SamplingParams(max_new_tokens=12, temperature=1.0, seed=2**64 + 7, ignore_eos=True)
ENDLESS = SamplingParams(max_new_tokens=900, temperature=0.0, ignore_eos=True)

Program = Callable[[Any], Any]


def generates(engine: Any) -> Any:
    with engine.open(program="p") as session:
        session.append("the theatre")
        first = session.generate(GREEDY, top_logprobs=2, logprob_start=0)
        session.append(" then ")
        second = session.generate(SEEDED)
        third = session.generate(SamplingParams(max_new_tokens=8, constraint=Regex("[a-z]{2,9}"), temperature=0.0))
        results = [one.result(30) for one in (first, second, third)]
        tokens = session.tokens().result(30)
        rows = [round(row.logprob, 3) for row in results[0].logprobs]
    assert len(results[0].prompt_logprobs) > 0
    return [(one.text, one.token_ids, one.forced, one.finish_reason) for one in results], tokens, rows


def forks_and_joins(engine: Any) -> Any:
    with engine.open() as session:
        session.append("one two")
        session.hint(Hint(gang=1))
        branches = session.fork(3)
        for place, branch in enumerate(branches):
            branch.append(f" {place}")
        texts = [branch.generate(GREEDY) for branch in branches]
        count = session.concat(branches)
        last = session.generate(GREEDY)
        found = [one.result(30).token_ids for one in (*texts, last)], count.result(30)
        for branch in branches:
            branch.close()
        return found


def scores(engine: Any) -> Any:
    found = []
    for choose in (
        Choosing("token_length_normalized"),
        Choosing("joint_likelihood", 0.7, 3),
        lambda rows: len(rows) - 1,
    ):
        with engine.open() as session:
            session.append("true or fal")
            result = session.score(["se", "l", "then"], choose, unconditional=True).result(30)
            after = session.generate(GREEDY).result(30)
            rows = [list(row) for row in result.logprobs]
            found.append((result.index, result.token_ids, result.prompt_tokens, after.token_ids))
            assert rows
    return found


def goes_back(engine: Any) -> Any:
    with engine.open() as session:
        session.append("yes or no")
        mark = session.mark().result(30)
        first = session.generate(GREEDY).result(30)
        session.truncate(mark)
        second = session.generate(GREEDY).result(30)
        return mark, first.token_ids, second.token_ids, len(session.tokens().result(30))


@pytest.mark.parametrize("program", [generates, forks_and_joins, scores, goes_back])
def test_a_program_makes_the_same_tokens_as_in_one_process(
    remote: RemoteEngine, local: Engine, program: Program
) -> None:
    assert program(remote) == program(local)


def test_it_is_what_the_server_needs(remote: RemoteEngine, local: Engine) -> None:
    served: ServedEngine = remote
    session: ServedSession = served.open()
    session.close()
    assert served.model_name == local.describe()["model"]
    assert served.context_length == local.context_length
    assert served.failure is None
    message = [{"role": "user", "content": "hi"}]
    assert served.chat_template is not None
    assert local.chat_template is not None
    assert served.chat_template.render(message) == local.chat_template.render(message)
    assert remote.budget_lines()[0].split()[:2] == ["setting", "asked"]


async def test_chunks_come_one_by_one(remote: RemoteEngine) -> None:
    with remote.open() as session:
        session.append("there")
        handle = session.generate(SamplingParams(max_new_tokens=12, temperature=0.0, ignore_eos=True))
        chunks = [chunk async for chunk in handle]
        result = await handle
    assert len(chunks) == 12
    assert "".join(chunk.text for chunk in chunks) == result.text
    assert tuple(token for chunk in chunks for token in chunk.token_ids) == result.token_ids


def test_questions_about_the_engine(remote: RemoteEngine) -> None:
    with remote.open() as session:
        session.append("a prefix that is worth being kept for a while, and a little longer " * 3)
        pin = session.pin(60.0).result(30)
    info = remote.server_info().result(30)
    assert (info["engine_pid"], info["engine_restarts"]) == (remote.engine_pid, 0)
    assert info["stats"]["pins"] == 1
    cache = remote.cache(50).result(30)
    assert [one["name"] for one in cache["pins"]] == [pin]
    assert any(node["pinned"] for node in cache["nodes"])
    assert remote.unpin(pin).result(30) is True
    assert remote.unpin(pin).result(30) is False
    assert remote.flush_cache().result(30) > 0
    assert remote.stats().result(30)["ledger"]["tree"] == 0
    remote.remember(["some text"])
    remote.compile_ahead([Regex("[0-9]+")])


def the_error(make: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011 — which one is compared
        make()
    return caught.value


def too_long(engine: Any) -> Any:
    with engine.open() as session:
        session.append([5] * 2000)
        session.generate(GREEDY).result(30)


def before_the_beginning(engine: Any) -> Any:
    with engine.open() as session:
        session.append("x")
        session.generate(GREEDY, logprob_start=7).result(30)


def no_regex(engine: Any) -> Any:
    with engine.open() as session:
        session.append("x")
        session.generate(SamplingParams(constraint=Regex("("))).result(30)


def back_too_far(engine: Any) -> Any:
    with engine.open() as session:
        session.truncate(5)
        session.mark().result(30)


def wrong_choice(engine: Any) -> Any:
    with engine.open() as session:
        session.append("x")
        session.score(["a", "b"], lambda rows: 2).result(30)


def joins_what_has_ended(engine: Any) -> Any:
    with engine.open() as session:
        session.append("x")
        branches = session.fork(2)
        for branch in branches:
            branch.append("y")
        branches[0].mark().result(30)
        branches[0].close()
        branches[1].mark().result(30)
        try:
            session.concat(branches).result(30)
        finally:
            branches[1].close()


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (too_long, ContextLengthExceeded, 400),
        (before_the_beginning, InvalidParameter, 400),
        (no_regex, InvalidSpec, 400),
        (back_too_far, InvalidParameter, 400),
        (wrong_choice, InvalidParameter, 400),
        (joins_what_has_ended, RequestCancelled, 499),
    ],
)
def test_errors_keep_class_message_and_status(
    remote: RemoteEngine, local: Engine, fault: Program, kind: type, status: int
) -> None:
    there, here = the_error(lambda: fault(remote)), the_error(lambda: fault(local))
    assert type(there) is type(here) is kind
    assert str(there) == str(here)
    assert problem_of(there) == problem_of(here)
    assert problem_of(there).status == status


def test_a_choice_that_fails_is_the_callers(remote: RemoteEngine) -> None:
    def choose(rows: Sequence[Sequence[float]]) -> int:
        raise ZeroDivisionError("mine")

    with remote.open() as session:
        session.append("x")
        handle, after = session.score(["a", "b"], choose), session.generate(GREEDY)
        with pytest.raises(ZeroDivisionError, match="mine"):
            handle.result(30)
        with pytest.raises(RequestCancelled):
            after.result(30)
    assert_nothing_held(remote)


def test_cancelling_ends_what_runs_and_what_waits(remote: RemoteEngine) -> None:
    session = remote.open(program="name")
    session.append("x")
    running, waiting = session.generate(ENDLESS), session.generate(GREEDY)
    next(iter(running))
    session.close()
    session.cancel()
    for handle in (running, waiting):
        with pytest.raises(RequestCancelled, match="cancelled in name"):
            handle.result(30)
    assert_nothing_held(remote)


def test_what_cannot_be_sent_harms_only_its_session(remote: RemoteEngine) -> None:
    with pytest.raises(InvalidParameter, match="namespace"):
        remote.open(namespace="\ud800")
    with remote.open(program="\ud800") as session, remote.open() as other:
        session.append("x")
        for params in (SamplingParams(stop=("\ud800",)), SamplingParams(priority=2**70)):
            with pytest.raises((InvalidParameter, RequestCancelled)):
                session.generate(params).result(30)
        other.append("x")
        assert other.generate(GREEDY).result(30).num_generated == 12


def test_sessions_that_are_dropped_are_ended(remote: RemoteEngine) -> None:
    session = remote.open()
    session.append("x")
    branches = session.fork(2)
    branches[0].generate(GREEDY).result(30)
    session.append("nobody waits for this")
    session.flush()
    assert remote.stats().result(30)["ledger"]["session"] > 0
    del session, branches
    gc.collect()
    assert_nothing_held(remote)


def test_forks_outlive_a_parent_that_is_dropped(remote: RemoteEngine) -> None:
    session = remote.open()
    session.append("x " * 50)
    (branch,) = session.fork(1)
    handle = branch.generate(GREEDY)
    branch.flush()
    del session
    gc.collect()
    assert handle.result(30).num_generated == 12
    branch.close()


def assert_nothing_held(engine: RemoteEngine) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        stats = engine.stats().result(30)
        ledger = stats["ledger"]
        if ledger["session"] == ledger["request"] == stats["running"] == stats["waiting"] == 0:
            return
        time.sleep(0.02)
    raise AssertionError(stats)


def test_a_model_that_is_not_there_is_said_as_ever(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        RemoteEngine(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="page_size"):
        RemoteEngine(page_size=0)


def test_what_only_the_engine_finds_out_is_said_as_ever(start: Callable[..., RemoteEngine], model_folder: Path) -> None:
    wrong = {"max_total_tokens": 64, "context_length": 100_000}
    there, here = the_error(lambda: start(**wrong)), the_error(lambda: Engine(str(model_folder), **wrong))
    assert type(there) is type(here) is ConfigError
    assert str(there) == str(here)
    assert isinstance(there, ConfigError)
    assert isinstance(here, ConfigError)
    assert there.remedy == here.remedy


def test_after_shutdown_everything_says_so(start: Callable[..., RemoteEngine]) -> None:
    engine = start()
    session = engine.open()
    session.append("x")
    handle = session.generate(ENDLESS)
    next(iter(handle))
    engine.shutdown()
    engine.shutdown()
    with pytest.raises(EngineClosed, match="shut down"):
        handle.result(5)
    with pytest.raises(EngineClosed, match="shut down"):
        session.generate(GREEDY).result(5)
    with pytest.raises(EngineClosed, match="shut down"):
        engine.open()
    with pytest.raises(EngineClosed, match="shut down"):
        engine.stats().result(5)
    assert engine.engine_pid is None
    session.close()
