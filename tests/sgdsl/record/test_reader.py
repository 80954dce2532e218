from __future__ import annotations

from pathlib import Path

import pytest

import sgdsl as sg
from sgdsl.errors import InvalidArgument
from sgdsl.record.reader import read


@pytest.fixture
def path(recorded: tuple[sg.ProgramState, sg.Recorder], tmp_path: Path) -> Path:
    made = tmp_path / "run.jsonl"
    recorded[1].save(made)
    return made


def test_what_was_saved_is_read(recorded: tuple[sg.ProgramState, sg.Recorder], path: Path) -> None:
    record = read(path)
    assert list(record.entries) == recorded[1].entries
    assert record.header == recorded[1].header
    assert record.cut_off_at is None


def test_a_record_is_read_up_to_where_it_was_cut_off(
    recorded: tuple[sg.ProgramState, sg.Recorder], path: Path
) -> None:  # fmt: skip
    lines = path.read_bytes().splitlines(keepends=True)
    for length in range(1, len(lines[7])):
        path.write_bytes(b"".join(lines[:7]) + lines[7][:length])
        record = read(path)
        assert list(record.entries[:7]) == recorded[1].entries[:7]
        assert record.cut_off_at == (8 if len(record.entries) == 7 else None)


def test_a_garbled_line_is_named(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:4], lines[4][5:], *lines[5:]]), "utf-8")
    with pytest.raises(InvalidArgument, match=r"run\.jsonl: line 5: not JSON"):
        read(path)


def test_other_files_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    cases = {
        b"": "line 1: the file is empty", b"hello": "line 1: not JSON", b"\xff\n": "line 1: not UTF-8",
        b'{"entry":"handed_over","run":1,"id":0,"seconds":0}\n': "line 1: a record begins with its header",
        b'{"entry":"record","version":9}\n': "line 1: version=9 is not allowed",
    }  # fmt: skip
    for content, reason in cases.items():
        path.write_bytes(content)
        with pytest.raises(InvalidArgument, match=reason):
            read(path)
