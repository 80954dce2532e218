from __future__ import annotations

import asyncio
import linecache
import logging
from collections.abc import Callable
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.record.entries import Failed, FirstToken, RunEnded, StreamBegun
from sgdsl.record.history import History, PastRun
from sgdsl.record.recording import Recording

RecordOf = Callable[..., sg.Recorder]


def named(run: PastRun, kind: str) -> list[Any]:
    return [past for past in run.instructions.values() if past.instruction.kind == kind]


def text_of(run: PastRun, stream: int) -> str:
    return "".join(past.text for past in run.streams[stream].instructions)


def ending(recorder: sg.Recorder) -> RunEnded:
    return next(entry for entry in recorder.entries if isinstance(entry, RunEnded) and entry.run == 1)


def test_a_record_says_what_the_state_says(recorded: tuple[sg.ProgramState, sg.Recorder]) -> None:
    state, recorder = recorded
    history = History(recorder.entries)
    run = history.runs[0]
    reason = named(run, "gen")[0]
    meta = state.get_meta_info("reason")
    assert (reason.text, reason.instruction.name) == (state["reason"], "reason")
    assert [token.id for token in reason.samples[0].tokens] == meta["token_ids"]
    assert [token.logprob for token in reason.samples[0].tokens] == [one[0] for one in meta["output_token_logprobs"]]
    assert (reason.ended.prompt_tokens, reason.ended.cached_tokens) == (meta["prompt_tokens"], meta["cached_tokens"])
    assert (reason.samples[0].finish_reason, reason.samples[0].matched_stop) == ("stop", ".")
    scores = state.get_meta_info("team")["scores"]
    select = named(run, "select")[0]
    assert ([one.score for one in select.ended.scored], select.ended.index) == (scores, 1)
    assert history.usage == state.usage() == ending(recorder).usage
    assert ending(recorder).value == repr(state.ret_value)
    assert dict(ending(recorder).variables)["team"] == "'infra'"
    main = run.streams[0].instructions
    kept = main[: main.index(named(run, "checkpoint")[0])]
    assert "".join(past.text for past in kept) == state.text()


def test_the_head_of_a_record(recorded: tuple[sg.ProgramState, sg.Recorder]) -> None:
    outer, inner = (run.begun for run in History(recorded[1].entries).by_number.values())
    assert (outer.program, outer.arguments, outer.backend) == ("everything", (("ticket", "'My card?'"),), "mock")
    assert outer.file.endswith("conftest.py")
    assert outer.line > 0
    assert (inner.program, inner.outer, outer.outer) == ("grade", 1, None)


def test_tokens_before_a_gen_are_named_once_with_their_origin(history: History) -> None:
    run = history.runs[0]
    reason, *tips = (past.ended for past in named(run, "gen")[:3])
    assert "".join(token.text for token in reason.prompt) == "".join(
        past.text for past in run.streams[0].instructions[:4]
    )  # fmt: skip
    assert {token.origin for token in reason.prompt} == {"prompt"}
    for number, tip in enumerate(tips):
        assert [token.text for token in tip.prompt] == ["tip", f" {number}:"]
        assert tip.prompt_start == tip.prompt_tokens - 2
        assert [token.origin for token in tip.prompt] == ["prompt", "prompt"]
    again = named(run, "gen")[3].ended
    assert [token.origin for token in again.prompt][-1] == "prompt"
    assert {token.origin for token in again.prompt[:-1]} == {"cached"}
    assert len(named(run, "gen")[3].samples) == 2


def test_tokens_after_a_rollback_are_named_again(record_of: RecordOf) -> None:
    @sg.function
    def edit(s: sg.ProgramState) -> None:
        s += "one two"
        point = s.checkpoint()
        s += " three four" + sg.gen("a")
        s.rollback(point)
        s += " three five six" + sg.gen("b")

    first, second = (past.ended for past in named(History(record_of(edit).entries).runs[0], "gen"))
    assert [token.text for token in first.prompt] == ["one", " two", " three", " four"]
    assert (second.prompt_start, [token.text for token in second.prompt]) == (3, [" five", " six"])


def test_forks_and_joins_are_edges(history: History) -> None:
    run = history.runs[0]
    fork, join = named(run, "fork")[0].instruction, named(run, "join")[0].instruction
    assert fork.streams == join.streams == (1, 2)
    assert join.names == ("tip",)
    assert [(run.streams[index].begun.parent, run.streams[index].begun.at) for index in (1, 2)] == [(0, fork.id)] * 2
    assert [text_of(run, index) for index in (1, 2)] == ["tip 0:first", "tip 1:second"]
    point, back = named(run, "checkpoint")[0].instruction, named(run, "rollback")[0].instruction
    assert point.checkpoint == back.checkpoint == 0


def test_instructions_know_their_line(history: History) -> None:
    source = named(history.runs[0], "select")[0].instruction.source
    assert source.function == "everything"
    assert "sg.select(" in linecache.getline(source.file, source.line)


def test_time_goes_forward(history: History) -> None:
    for run in history.by_number.values():
        for past in named(run, "gen"):
            assert past.instruction.seconds <= past.handed_over <= past.first_token <= past.ended.seconds
            assert run.begun.seconds <= past.instruction.seconds
            assert past.ended.seconds <= run.over


def test_sampling_in_force_and_constraint(record_of: RecordOf) -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("x", max_tokens=3) + sg.gen("y", regex="[0-9]", stop=["a", "b"])

    recorder = sg.Recorder()
    ask.run(backend=sg.Mock(), temperature=0.5, record=recorder)
    first, second = (past.instruction for past in named(History(recorder.entries).runs[0], "gen"))
    assert (first.sampling.max_tokens, first.sampling.temperature, first.constraint) == (3, 0.5, None)
    assert (second.sampling.stop, second.constraint) == (("a", "b"), "Regex")


def test_a_failure_is_recorded_with_its_place(record_of: RecordOf) -> None:
    @sg.function
    def fail(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("good")
        s += sg.gen("bad", type=int) + sg.gen("after")
        s.sync()

    recorder = record_of(fail, script={"bad": ValueError("no number")})
    end = ending(recorder)
    failed = [entry for entry in recorder.entries if isinstance(entry, Failed)]
    assert [entry.is_cause for entry in failed] == [True, False]
    assert end.status == "failed"
    assert end.failure is not None
    assert (end.failure.type, end.failure.message) == ("ValueError", 'gen "bad": no number')
    assert end.failure.source is not None
    assert end.failure.source.function == "fail"
    assert failed[0].failure == end.failure
    run = History(recorder.entries).runs[0]
    assert named(run, "gen")[0].text == "mock"
    assert named(run, "gen")[2].failed is not None


def test_what_the_function_itself_raises(record_of: RecordOf) -> None:
    @sg.function
    def fail(s: sg.ProgramState) -> None:
        raise RuntimeError("before anything")

    end = ending(record_of(fail))
    assert (end.status, end.failure and end.failure.type) == ("failed", "RuntimeError")


def test_a_cancelled_stream_ends_its_record(gate: Any) -> None:
    recorder = sg.Recorder()

    @sg.function
    def wait(s: sg.ProgramState) -> None:
        s += sg.gen("slow")
        s.sync()

    state = wait.run(backend=sg.Mock(gate), stream=True, record=recorder)
    assert gate.reached.wait(10)
    state.cancel()
    with pytest.raises(sg.ProgramCancelled):
        state["slow"]
    gate.opened.set()
    while not recorder.entries or not isinstance(recorder.entries[-1], RunEnded):
        state.error()
    assert ending(recorder).status == "cancelled"
    assert any(isinstance(entry, Failed) for entry in recorder.entries)


def test_a_timeout_has_a_name_of_its_own(gate: Any) -> None:
    recorder = sg.Recorder()

    @sg.function
    def wait(s: sg.ProgramState) -> None:
        s += sg.gen("slow")

    with pytest.raises(sg.ProgramTimeout):
        wait.run(backend=sg.Mock(gate), timeout=0.05, record=recorder)
    assert ending(recorder).status == "timeout"


def test_a_streamed_run_is_recorded_with_its_first_tokens() -> None:
    recorder = sg.Recorder()

    @sg.function
    def talk(s: sg.ProgramState) -> None:
        s += "Say: " + sg.gen("words")

    state = talk.run(backend=sg.Mock(["one two three"], latency=0.02), stream=True, record=recorder)
    assert list(state.text_iter("words")) == ["one", " two", " three"]
    state.sync()
    assert sum(isinstance(entry, FirstToken) for entry in recorder.entries) == 1
    past = named(History(recorder.entries).runs[0], "gen")[0]
    assert past.first_token < past.ended.seconds


async def test_async_programs_are_recorded() -> None:
    recorder = sg.Recorder()

    @sg.function
    async def ask(s: sg.ProgramState) -> str:
        s += sg.gen("x")
        return str(await s.get("x"))

    states = await asyncio.gather(*(ask.arun(backend=sg.Mock(), record=recorder) for _ in range(3)))
    assert [state.ret_value for state in states] == ["mock"] * 3
    assert len(History(recorder.entries).runs) == 3


def test_compiled_programs_write_the_same_record() -> None:
    @sg.function
    def ask(s: sg.ProgramState, q: str) -> None:
        s += "Q: " + q + "\nA: " + sg.gen("a")
        forks = s.fork(2)
        forks += " and" + sg.gen("b")
        forks.join()

    @sg.function
    def decide(s: sg.ProgramState) -> None:
        s += "Q?" + sg.gen("a")
        if s["a"] == "mock":
            s += " more" + sg.gen("b")

    for program, compiled, args in ((ask, ask.compile(), ("x",)), (decide, decide.compile(partial=True), ())):
        records = [sg.Recorder(), sg.Recorder()]
        for one, recorder in zip((program, compiled), records, strict=True):
            one.run(*args, backend=sg.Mock(), record=recorder)
        runs = [History(recorder.entries).runs[0] for recorder in records]
        assert len(runs[0].streams) == len(runs[1].streams)
        assert [text_of(runs[0], i) for i in runs[0].streams] == [text_of(runs[1], i) for i in runs[1].streams]
        assert runs[0].usage == runs[1].usage
        assert [len(past.ended.prompt) for run in runs for past in named(run, "gen")]


def test_hostile_values_do_no_harm(record_of: RecordOf, tmp_path: Any) -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    @sg.function
    def odd(s: sg.ProgramState, rude: Rude, long: str) -> Rude:
        s += "half a pair: \ud800 "
        s["x"] = "\udfff"
        return rude

    recorder = record_of(odd, Rude(), "x" * 100_000)
    recorder.save(tmp_path / "odd.jsonl")
    end = ending(recorder)
    assert end.status == "completed"
    assert "Rude" in end.value
    assert named(History(recorder.entries).runs[0], "text")[0].text == "half a pair: ? "
    assert len(History(recorder.entries).runs[0].begun.arguments[1][1]) < 300


def test_a_fault_in_recording_is_the_records_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, record_of: RecordOf
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Recording, "_put", broken)

    @sg.function
    def ask(s: sg.ProgramState) -> str:
        s += sg.gen("x")
        return str(s["x"])

    with caplog.at_level(logging.ERROR, logger="sgdsl.record"):
        recorder = record_of(ask)
    assert ending(recorder).value == "'mock'"
    assert "could not be recorded" in caplog.text


def test_without_a_recorder_nothing_is_kept(mock: sg.Mock) -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("x")

    state = ask.run(backend=mock)
    assert state._stream.run.recording is None
    assert not any(isinstance(call, StreamBegun) for call in mock.calls)
