from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
    @sg.function
    def main(s, name: str = "Ann"):
        s += sg.user("Hello " + name) + sg.assistant(sg.gen("answer", max_tokens=8))
        forks = s.fork(2)
        forks += sg.gen("more")
        forks.join()
        return s["more"]
"""


@pytest.fixture
def record(write: Any, sgdsl: Any) -> Path:
    code, out, _ = sgdsl("run", write(PROGRAM), "--record", "run.jsonl")
    assert code == 0
    assert "mock" in out
    return Path("run.jsonl")


def test_a_record_is_shown_as_a_tree(record: Path, sgdsl: Any) -> None:
    code, out, err = sgdsl("trace", record)
    assert (code, err) == (0, "")
    assert out.startswith("main(name='Ann')  completed")
    assert "gen answer  “mock”" in out
    assert out.splitlines()[-1].startswith("1 run · 3 streams · 10 instructions · 3 gens · ")
    assert "\x1b" not in out


def test_totals_as_json(record: Path, sgdsl: Any) -> None:
    totals = json.loads(sgdsl("trace", record, "--json")[1])
    assert (totals["runs"], totals["gens"], totals["streams"], totals["cut_off_at"]) == (1, 3, 3, None)
    assert totals["prompt_tokens"] >= totals["cached_tokens"] > 0


def test_a_page_and_a_perfetto_trace(record: Path, sgdsl: Any) -> None:
    assert sgdsl("trace", record, "--html", "run.html") == (0, "", "")
    assert Path("run.html").read_text("utf-8").startswith("<!doctype html>")
    assert sgdsl("trace", record, "--perfetto", "run.json") == (0, "", "")
    assert json.loads(Path("run.json").read_text("utf-8"))["traceEvents"]


def test_a_record_that_was_cut_off_says_so(record: Path, sgdsl: Any) -> None:
    content = record.read_bytes()
    record.write_bytes(content[:-20])
    code, out, err = sgdsl("trace", record)
    assert code == 0
    assert "unfinished" in out
    last = content.count(b"\n")
    assert err == f"sgdsl: run.jsonl: cut off in line {last}, read up to there\n"


def test_what_cannot_be_shown(record: Path, sgdsl: Any) -> None:
    lines = record.read_text("utf-8").splitlines()
    Path("bad.jsonl").write_text("\n".join([*lines[:2], "nonsense", *lines[2:]]), "utf-8")
    cases = [
        (("bad.jsonl",), 1, "bad.jsonl: line 3: not JSON"),
        (("none.jsonl",), 1, "none.jsonl: No such file or directory"),
        ((record, "--html", "none/x.html"), 1, "none/x.html: No such file or directory"),
        ((record, "--graph", "x.svg"), 2, "run.jsonl is a record: --graph and words after -- are for programs"),
        (("program.py", "--html", "x.html"), 2, "--html shows a record, whose name ends in .jsonl, not program.py"),
    ]
    for words, expected, reason in cases:
        code, out, err = sgdsl("trace", *words)
        assert (code, out) == (expected, "")
        assert err.startswith(f"sgdsl: {reason}")


def test_a_program_is_shown_as_its_graph(write: Any, sgdsl: Any) -> None:
    code, out, _ = sgdsl("trace", write(PROGRAM))
    assert code == 0
    assert "answer" in out


def test_a_failed_run_is_recorded(write: Any, sgdsl: Any) -> None:
    path = write("""
        @sg.function
        def main(s):
            s += "a" + sg.gen("x", max_tokens=3)
            raise ValueError("enough")
    """)
    assert sgdsl("run", path, "--record", "run.jsonl")[0] == 1
    out = sgdsl("trace", "run.jsonl")[1]
    assert "main()  failed" in out
    assert "ValueError: program.py:6 in main: enough" in out


def test_a_record_needs_a_place_and_a_program(write: Any, sgdsl: Any) -> None:
    code, _, err = sgdsl("run", write(PROGRAM), "--record", "none/run.jsonl")
    assert code == 1
    assert "--record: record='none/run.jsonl' cannot be written: No such file or directory" in err
    script = write("if __name__ == '__main__':\n    print(1)\n", "script.py")
    assert sgdsl("run", script, "--record", "x.jsonl")[0] == 2
    code, _, err = sgdsl("run", write(PROGRAM), "--dry-run", "--record", "x.jsonl")
    assert (code, err) == (2, "sgdsl: --dry-run runs nothing: there is nothing to --record\n")
    assert not Path("x.jsonl").exists()


def test_many_programs_at_once_are_recorded_together(write: Any, sgdsl: Any) -> None:
    assert sgdsl("run", write(PROGRAM), "--num-programs", "3", "--record", "run.jsonl")[0] == 0
    assert json.loads(sgdsl("trace", "run.jsonl", "--json")[1])["runs"] == 3
