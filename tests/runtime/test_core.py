"""The step loop when things go wrong: each fault ends whom it concerns, and nobody else."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from grammars import GrammarLimit, Regex
from runtime.engine import Engine
from runtime.errors import EngineClosed, LedgerError, RequestCancelled, RequestError, StepFailed
from runtime.ledger import Owner
from runtime.sampling.params import SamplingParams

Clean = Callable[[Engine], None]
MakeEngine = Callable[..., Engine]


def greedy(count: int, **more: Any) -> SamplingParams:
    return SamplingParams(temperature=0, max_new_tokens=count, ignore_eos=True, **more)


class Tampered:
    """Stands in for the runner's `run`."""

    def __init__(self, engine: Engine, change: Callable[[Any, Callable[[Any], torch.Tensor]], torch.Tensor]) -> None:
        runner = engine._core._stepper._runner
        real = runner.run
        runner.run = lambda batch: change(batch, real)  # type: ignore[method-assign]


class Script:
    """Makes the model say given tokens: at position p of a sequence the next is `says[p]`."""

    def __init__(self, engine: Engine, says: dict[int, int]) -> None:
        def change(batch: Any, real: Callable[[Any], torch.Tensor]) -> torch.Tensor:
            logits = real(batch).clone()
            for row, position in zip(logits, batch.positions[batch.logit_rows].tolist(), strict=True):
                if position in says:
                    row[says[position]] = 1e4
            return logits

        Tampered(engine, change)


def test_a_failing_step_fails_exactly_its_requests(make_engine: MakeEngine, assert_nothing_held: Clean) -> None:
    engine = make_engine(max_running_requests=2)
    calls = 0

    def change(batch: Any, real: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise MemoryError("no more")
        return real(batch)

    Tampered(engine, change)
    sessions = [engine.open() for _ in range(4)]
    handles = []
    for i, session in enumerate(sessions):
        session.append([10 + i] * 20)
        handles.append(session.generate(greedy(8)))
    gate = threading.Event()
    engine._core.post(lambda: gate.wait(5) and None)  # all four are queued before the first step
    for session in sessions:
        session.close()
    gate.set()
    errors = []
    for handle in handles:
        try:
            assert len(handle.result(timeout=20).token_ids) == 8
        except StepFailed as error:
            errors.append(error)
    assert len(errors) == 2
    for error in errors:
        assert isinstance(error.__cause__, MemoryError)
        assert "MemoryError: no more" in str(error)
    assert engine.stats()["failed_requests"] == 2
    assert_nothing_held(engine)
    oracle = make_engine()
    again = engine.generate(input_ids=[10] * 20, sampling_params=greedy(8))
    assert again["output_ids"] == oracle.generate(input_ids=[10] * 20, sampling_params=greedy(8))["output_ids"]


def test_a_step_of_hundreds_of_alternatives_may_fail(make_engine: MakeEngine, assert_nothing_held: Clean) -> None:
    engine = make_engine(max_running_requests=512, chunked_prefill_size=4096)

    def change(batch: Any, real: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        if batch.num_sequences > 100:
            raise RuntimeError("too wide")
        return real(batch)

    Tampered(engine, change)
    with engine.open() as session:
        session.append("x")
        with pytest.raises(StepFailed, match="too wide"):
            session.score([f"{i:03d}" for i in range(400)], lambda scores: 0).result(timeout=20)
    assert_nothing_held(engine)


def test_logits_that_are_no_numbers_fail_their_row_alone(engine: Engine, assert_nothing_held: Clean) -> None:
    def change(batch: Any, real: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        logits = real(batch).clone()
        tokens = batch.token_ids[batch.logit_rows]
        logits[tokens == 77] = float("nan")
        return logits

    Tampered(engine, change)
    good, bad = engine.open(), engine.open()
    good.append([5, 6])
    bad.append([5, 77])
    first, second, after = good.generate(greedy(5)), bad.generate(greedy(5)), bad.mark()
    good.close()
    bad.close()
    with pytest.raises(StepFailed, match="nan"):
        second.result(timeout=20)
    with pytest.raises(StepFailed):
        after.result(timeout=20)
    assert len(first.result(timeout=20).token_ids) == 5
    assert_nothing_held(engine)


def test_a_grammar_that_does_not_compile_fails_its_request_alone(engine: Engine, assert_nothing_held: Clean) -> None:
    bad, good = engine.open(), engine.open()
    failing = bad.generate(greedy(5, constraint=Regex("(unclosed")))
    fine = good.generate(greedy(5, constraint=Regex("[ab]{3}")))
    bad.close()
    good.close()
    assert len(fine.result(timeout=20).text) == 3
    with pytest.raises(ValueError, match="unclosed"):
        failing.result(timeout=20)
    assert_nothing_held(engine)


def test_a_constraint_that_takes_too_long_to_compile_fails_its_request_alone(
    make_engine: MakeEngine, assert_nothing_held: Clean
) -> None:
    engine = make_engine(grammar_compile_seconds=0.2)
    compiler, release = engine._core._compilation._compiler, threading.Event()
    real = compiler.compile

    def compile_slowly(spec: Any, is_cancelled: Any = None) -> Any:
        if spec == Regex("slow"):
            release.wait(20)
        return real(spec)

    compiler.compile = compile_slowly  # type: ignore[method-assign]
    compiler.compile(Regex("[ab]{3}"))  # kept: no load of this machine shall make it late
    slow, good = engine.open(), engine.open()
    failing = slow.generate(greedy(5, constraint=Regex("slow")))
    fine = good.generate(greedy(5, constraint=Regex("[ab]{3}")))
    slow.close()
    good.close()
    assert len(fine.result(timeout=20).text) == 3
    with pytest.raises(GrammarLimit, match="grammar_compile_seconds"):
        failing.result(timeout=20)
    stats = engine.stats()
    assert (stats["grammar_failures"], stats["grammar_cache_hits"]) == (1, 1)
    assert stats["grammar_mask_seconds"] > 0
    assert_nothing_held(engine)
    release.set()


def test_cancelling_takes_its_compilation_out_of_the_queue(engine: Engine, assert_nothing_held: Clean) -> None:
    compiler, release, begun = engine._core._compilation._compiler, threading.Event(), []

    def compile_slowly(spec: Any, is_cancelled: Any = None) -> Any:
        begun.append(spec)
        release.wait(20)
        raise ValueError("let go")

    compiler.compile = compile_slowly  # type: ignore[method-assign]
    sessions = [engine.open() for _ in range(3)]
    handles = [session.generate(greedy(5, constraint=Regex(p))) for session, p in zip(sessions, "abc", strict=True)]
    for session in sessions:
        session.flush()
    sessions[2].cancel()
    with pytest.raises(RequestCancelled):
        handles[2].result(timeout=20)
    release.set()
    for session, handle in zip(sessions, handles, strict=True):
        session.close()
        with pytest.raises((ValueError, RequestCancelled)):
            handle.result(timeout=20)
    assert_nothing_held(engine)
    assert Regex("c") not in begun


def test_a_constraint_nothing_can_follow_fails_its_request_alone(engine: Engine, assert_nothing_held: Clean) -> None:
    class Stuck:
        warnings: tuple[str, ...] = ()

        def matcher(self) -> Stuck:
            return self

        def mask_into(self, row: Any) -> None:
            row[:] = 0

        def forced(self) -> list[int]:
            return []

    engine._core._compilation._compiler.compile = lambda spec, is_cancelled=None: Stuck()  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(RequestError, match="stuck"):
        engine.generate("x", {"regex": "a"})
    assert len(engine.generate("x", greedy(3))["output_ids"]) == 3
    assert_nothing_held(engine)


def test_a_callback_that_raises_harms_nobody(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def raising(chunk: Any) -> None:
        raise RuntimeError("a reader's fault")

    with engine.open() as session:
        handle = session.generate(greedy(4))
        handle.subscribe(raising)
        assert len(handle.result(timeout=20).token_ids) == 4
    assert len(engine.generate("x", greedy(3))["output_ids"]) == 3
    assert "a reader's fault" in caplog.text


@pytest.mark.parametrize("busy", [False, True])
def test_shutdown_ends_everything_in_flight(make_engine: MakeEngine, busy: bool) -> None:
    engine = make_engine(max_running_requests=2, chunked_prefill_size=4)
    release = threading.Event()
    compiler = engine._core._compilation._compiler
    real = compiler.compile
    compiler.compile = lambda spec, is_cancelled=None: (release.wait(10), real(spec))[1]  # type: ignore[method-assign]
    sessions = [engine.open() for _ in range(8)]
    handles: list[Any] = []
    for i, session in enumerate(sessions):
        session.append([5 + i] * 30)
        handles.append(session.generate(greedy(400, constraint=Regex("a{300}") if i % 4 == 3 else None)))
        handles.append(session.score(["a", "b"], lambda scores: 0))
        handles.append(session.fork(1)[0].mark())
        session.flush()
    if busy:
        next(iter(handles[0]))
    begun = time.perf_counter()
    engine.shutdown()
    for handle in handles:
        with pytest.raises(EngineClosed, match="shut down"):
            handle.result(timeout=5)
    assert time.perf_counter() - begun < 5
    assert not engine._thread.is_alive()
    release.set()
    gc.collect()
    table = engine.stats()["ledger"]
    assert (table["request"], table["session"]) == (0, 0)


@pytest.fixture
def quiet() -> Iterator[None]:
    """The thread's own report of its death is expected."""
    before, threading.excepthook = threading.excepthook, lambda args: None
    yield
    threading.excepthook = before


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("how", ["action", "books"])
def test_when_the_loop_dies_everybody_hears_of_it(make_engine: MakeEngine, how: str) -> None:
    engine = make_engine()
    session, idle = engine.open(), engine.open()
    running = session.generate(greedy(450))
    queued = session.score(["a", "b"], lambda scores: 0)
    next(iter(running))

    def die() -> None:
        if how == "action":
            raise OSError("struck")
        sequence = session._state.sequence
        assert sequence is not None
        engine._core.cache.pool.ledger.move(sequence.private_pages, sequence.holder, Owner.IN_TRANSFER)

    engine._core.post(die)
    for handle in (running, queued):
        with pytest.raises(EngineClosed) as caught:
            handle.result(timeout=10)
        assert isinstance(caught.value.__cause__, OSError if how == "action" else LedgerError)
    engine._thread.join(5)
    assert not engine._thread.is_alive()
    with pytest.raises(EngineClosed, match="died"):
        idle.generate(greedy(1)).result(timeout=5)
    for call in (engine.open, lambda: engine.generate("x"), engine.flush_cache):
        with pytest.raises(EngineClosed, match="died") as caught:
            call()
        assert caught.value.__cause__ is not None


@pytest.mark.usefixtures("quiet")
def test_whoever_the_loop_dies_for_hears_of_it_too(make_engine: MakeEngine) -> None:
    """What the loop was about to finish is in no list any more."""

    def strike(scores: object) -> int:
        raise KeyboardInterrupt("struck")

    engine = make_engine()
    with pytest.raises(KeyboardInterrupt, match="struck"):
        engine.open().score(["a", "b"], strike).result(timeout=10)
    with pytest.raises(EngineClosed, match="struck"):
        engine.generate("x")


def test_idle_audit_finds_a_lost_page(make_engine: MakeEngine, quiet: None) -> None:
    engine = make_engine(audit="idle")
    engine._core.post(lambda: engine._core.cache.pool.allocate(1, Owner.REQUEST) and None)
    engine._thread.join(5)
    assert isinstance(engine._core.failure, LedgerError)


@pytest.mark.parametrize(
    ("pieces", "stop", "text"),
    [
        (["the", " the", "atre", " th"], "eat", "the th"),
        (["a", "b", "c", "d"], "bc", "a"),
        (["x", "é", "y"], "é", "x"),
        (["the", "re", " is"], "there is", ""),
    ],
)
def test_a_stop_cuts_the_session_where_the_text_ends(engine: Engine, pieces: list[str], stop: str, text: str) -> None:
    encode = engine.tokenizer.encode
    said = [token for piece in pieces for token in encode(piece)]
    prompt = [40, 41, 42]
    Script(engine, {2 + i: token for i, token in enumerate(said)})
    with engine.open() as session:
        session.append(prompt)
        handle = session.generate(greedy(30, stop=(stop,)))
        session.append([43])
        tokens = session.tokens().result(timeout=20)
    result = handle.result()
    assert (result.text, result.finish_reason, result.matched_stop) == (text, "stop", stop)
    assert "".join(chunk.text for chunk in handle) == text
    raw = b"".join(engine.tokenizer.token_bytes[t] or b"" for t in result.token_ids)
    assert raw.decode() == text
    assert tokens == [(t, "prompt") for t in prompt] + [(t, "generated") for t in result.token_ids] + [(43, "prompt")]


def test_after_a_stop_the_session_goes_on_as_if_only_the_text_had_been(make_engine: MakeEngine) -> None:
    """What is cut off leaves no trace in the KV."""
    engine = make_engine(page_size=4)
    encode = engine.tokenizer.encode
    says = {9 + i: token for i, token in enumerate(encode("the theatre there"))}
    Script(engine, says)
    with engine.open() as session:
        session.append([40] * 10)
        session.generate(greedy(30, stop=("atre",)))
        session.append([44] * 20)
        more = session.generate(greedy(6)).result(timeout=20)
        tokens = [token for token, _ in session.tokens().result(timeout=20)]
    engine.flush_cache()
    says.clear()
    alone = make_engine().generate(input_ids=tokens[:-6], sampling_params=greedy(6))
    assert list(more.token_ids) == alone["output_ids"]


@pytest.mark.parametrize("page_size", [1, 4])
def test_what_is_kept_of_a_cut_token_has_kv_of_its_own(make_engine: MakeEngine, page_size: int) -> None:
    """The stop begins inside " the" and ends in "atre": " th" is put where the KV of " the" stood."""
    engine = make_engine(page_size=page_size)
    said = [token for piece in ("the", " the", "atre", " th") for token in engine.tokenizer.encode(piece)]
    says = {9 + i: token for i, token in enumerate(said)}
    Script(engine, says)
    with engine.open() as session:
        session.append([40] * 10)
        cut = session.generate(greedy(30, stop=("eat",))).result(timeout=20)
        says.clear()
        session.append([44] * 9)
        more = session.generate(greedy(3), top_logprobs=0).result(timeout=20)
    ids = [*[40] * 10, *cut.token_ids, *[44] * 9]
    fresh = make_engine(page_size=page_size)
    with fresh.open() as alone:
        alone.append(ids)
        expected = alone.generate(greedy(3), top_logprobs=0).result(timeout=20)
    assert cut.text == "the th"
    assert more.token_ids == expected.token_ids
    assert more.logprobs is not None
    assert expected.logprobs is not None
    for mine, theirs in zip(more.logprobs, expected.logprobs, strict=True):
        assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
