from __future__ import annotations

import io
import re

from rich.console import Console

import sgdsl as sg
from sgdsl.record.history import History
from sgdsl.record.outline import outline


def drawn(history: History) -> str:
    out = io.StringIO()
    Console(file=out, width=160, no_color=True).print(outline(history), no_wrap=True, overflow="ellipsis")
    return re.sub(r"\d+\.\d+ m?s|\d+(\.\d+)? tok/s", "#", out.getvalue())


def test_the_tree_of_a_run(history: History) -> None:
    text = re.sub(r"conftest\.py:\d+", "conftest.py", drawn(history))
    assert text.splitlines() == [
        "everything(ticket='My card?')  completed  #  mock  conftest.py",
        "├── user",
        "│   └── text  “My card?”",
        "├── assistant",
        "│   ├── gen reason  “he paid twice”  0 cached + 6 new · 4 generated · # · #",
        "│   └── select team  “infra”  8 cached + 1 new · #",
        "├── fork",
        "│   ├── stream 1  #",
        "│   │   ├── text  “tip 0:”",
        "│   │   └── gen tip  “first”  12 cached + 2 new · 2 generated · # · #",
        "│   └── stream 2  #",
        "│       ├── text  “tip 1:”",
        "│       └── gen tip  “second”  12 cached + 2 new · 2 generated · # · #",
        "├── join 1, 2 → tip",
        "├── checkpoint 0",
        "├── text  “away”",
        "├── gen gone  “mock”  24 cached + 2 new · 4 generated · # · #",
        "├── rollback 0",
        "└── grade(essay='he paid twice')  completed  #  mock  conftest.py",
        "    ├── text  “Grade he paid twice: ”",
        "    └── gen grade  “4”  0 cached + 5 new · 2 generated · # · #",
        "2 runs · 4 streams · 19 instructions · 6 gens · 1 select · 74 prompt tokens (56 cached) · "
        "14 generated (0 forced) · # · #",
    ]


def test_a_failure_stands_at_the_foot_of_its_run(record_of: object) -> None:
    @sg.function
    def fail(s: sg.ProgramState) -> None:
        s += sg.gen("x", type=int)

    recorder = record_of(fail, script=["a\x1b[31mb"])  # type: ignore[operator]
    text = drawn(History(recorder.entries))
    assert "\x1b" not in text
    assert "fail()  failed" in text
    assert "ValueError: test_outline.py" in text
    assert text.splitlines()[-1].endswith("1 failed")


def test_a_run_without_an_end_is_unfinished(recorded: tuple[sg.ProgramState, sg.Recorder]) -> None:
    text = drawn(History(recorded[1].entries[:9]))
    assert "unfinished" in text.splitlines()[0]
    assert "1 unfinished" in text


def test_forks_of_forks_end_somewhere(record_of: object) -> None:
    @sg.function
    def deep(s: sg.ProgramState) -> None:
        kept = [s]
        for _ in range(300):
            kept.append(kept[-1].fork(1)[0])
        kept[-1] += "bottom"

    text = drawn(History(record_of(deep).entries))  # type: ignore[operator]
    assert "instructions" in text
    assert "bottom" not in text
