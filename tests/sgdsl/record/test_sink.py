from __future__ import annotations

import logging
from pathlib import Path

import pytest

import sgdsl as sg
from sgdsl.record.entries import Header, RunBegun, RunEnded
from sgdsl.record.history import History
from sgdsl.record.reader import read
from sgdsl.record.sink import RecordFile


@sg.function
def greet(s: sg.ProgramState, name: str) -> str:
    s += f"Hello {name}, " + sg.gen("rest")
    return str(s["rest"])


def test_a_file_holds_what_a_recorder_would(tmp_path: Path) -> None:
    path, recorder = tmp_path / "run.jsonl", sg.Recorder()
    greet.run("Ann", backend=sg.Mock(), record=path)
    greet.run("Ann", backend=sg.Mock(), record=recorder)
    record = read(path)
    assert [type(entry) for entry in record.entries] == [type(entry) for entry in recorder.entries]
    assert record.cut_off_at is None


def test_fifty_runs_of_a_batch_are_told_apart_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "batch.jsonl"
    batch = [{"name": f"no. {number}"} for number in range(50)]
    states = greet.run_batch(batch, backend=sg.Mock(lambda prompt, _: prompt[6:-2]), num_threads=8, record=str(path))
    history = History(read(path).entries)
    assert len(history.runs) == 50
    said = {run.begun.arguments[0][1]: run.instructions[1].text for run in history.runs}
    assert said == {repr(item["name"]): item["name"] for item in batch}
    assert history.usage == sum((state.usage() for state in states), sg.Usage())
    assert all(run.ended is not None and run.ended.status == "completed" for run in history.runs)


def test_the_file_is_up_to_date_while_the_program_runs(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"

    @sg.function
    def look(s: sg.ProgramState) -> int:
        s += "a" + sg.gen("first")
        assert s["first"] == "mock"
        return len(History(read(path).entries).runs[0].instructions[1].samples)

    assert look.run(backend=sg.Mock(), record=path).ret_value == 1


def test_a_recorder_takes_several_runs(tmp_path: Path) -> None:
    recorder = sg.Recorder()
    for name in ("Ann", "Bob"):
        greet.run(name, backend=sg.Mock(), record=recorder)
    begun = [entry for entry in recorder.entries if isinstance(entry, RunBegun)]
    assert [(entry.run, entry.arguments) for entry in begun] == [(1, (("name", "'Ann'"),)), (2, (("name", "'Bob'"),))]
    assert begun[0].seconds < begun[1].seconds
    assert isinstance(recorder.entries[0], Header)
    assert repr(recorder) == f"<recorder of {len(recorder.entries)} entries>"


@pytest.mark.parametrize("record", [1, True, object()])
def test_other_things_are_no_place_for_a_record(record: object) -> None:
    with pytest.raises(sg.InvalidArgument, match=r"record=.* is not allowed: a path or an sgdsl\.Recorder"):
        greet.run("Ann", backend=sg.Mock(), record=record)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    mock = sg.Mock()
    with pytest.raises(sg.InvalidArgument, match=r"record='.*none/run\.jsonl' cannot be written: No such file"):
        greet.run("Ann", backend=mock, record=str(tmp_path / "none" / "run.jsonl"))
    assert mock.calls == []


def test_a_full_disk_ends_the_record_and_not_the_program(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    sink = RecordFile(path)

    def full(file: object, entry: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordFile, "_put", staticmethod(full))
    with caplog.at_level(logging.ERROR, logger="sgdsl.record"):
        state = greet.run("Ann", backend=sg.Mock(), record=sink)  # type: ignore[arg-type]
    assert state.ret_value == "mock"
    assert [record.message for record in caplog.records] == [
        f"the record {path} ends here, it cannot be written: [Errno 28] No space left on device"
    ]


def test_a_parameter_called_record_is_the_programs_own() -> None:
    @sg.function
    def summarize(s: sg.ProgramState, record: str) -> str:
        s += record
        return record

    assert summarize.run(record="a customer", backend=sg.Mock()).text() == "a customer"


def test_the_end_of_a_run_is_its_last_entry(recorded: tuple[sg.ProgramState, sg.Recorder]) -> None:
    last = recorded[1].entries[-1]
    assert isinstance(last, RunEnded)
    assert last.run == 1
