from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
    @sg.function
    def main(s, topic: str = "tea", turns: int = 2):
        s += sg.system("You know " + topic)
        for turn in range(turns):
            s += sg.user("More.") + sg.assistant(sg.gen(f"fact_{turn}", max_tokens=8))
        return s["fact_0"]
"""
BRANCHING = """
    @sg.function
    def main(s):
        s += "Is it so? " + sg.select("so", ["yes", "no"])
        if s["so"] == "yes":
            s += sg.gen("why")
"""
IMPOSSIBLE = """
    @sg.function
    def main(s):
        s += sg.gen("age", json_schema={"type": "integer", "minimum": 9, "maximum": 3})
"""
USELESS_STOP = """
    @sg.function
    def main(s):
        s += sg.gen("age", regex="[0-9]+", stop="\\n")
"""


def test_a_graph_is_printed(write: Any, sgdsl: Any) -> None:
    code, out, err = sgdsl("trace", write(PROGRAM))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == 'main(topic="tea", turns is 2)'
    assert "fact_1 = gen(max_tokens=8)" in out
    assert "$topic" in out


def test_given_arguments_are_in_the_graph(write: Any, sgdsl: Any) -> None:
    out = sgdsl("trace", write(PROGRAM), "--", "--turns", "1", "--topic", "milk")[1]
    assert "fact_1" not in out
    assert '"milk"' in out


@pytest.mark.parametrize(
    ("suffix", "begins"), [("dot", 'digraph "main" {'), ("gv", "digraph"), ("mmd", "flowchart TB"), ("txt", "main(")]
)
def test_a_graph_is_drawn(write: Any, sgdsl: Any, suffix: str, begins: str) -> None:
    assert sgdsl("trace", write(PROGRAM), "--graph", f"out.{suffix}") == (0, "", "")
    assert Path(f"out.{suffix}").read_text(encoding="utf-8").startswith(begins)


def test_a_graph_in_json_runs_without_its_program(write: Any, sgdsl: Any) -> None:
    program = write(PROGRAM)
    assert sgdsl("trace", program, "--graph", "out.json")[0] == 0
    program.unlink()
    code, out, _ = sgdsl("run", "out.json", "--backend", "mock", "--json", "--", "--topic", "milk")
    entry = json.loads(out)
    assert (code, entry["value"]) == (0, "mock")
    assert entry["messages"][0] == {"role": "system", "content": "You know milk"}
    code, out, _ = sgdsl("run", "out.json", "--", "--help")
    assert code == 0
    assert "--topic" in out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not a graph"),
        ("{}", '"sgdsl_graph": 1 is needed'),
        ('{"sgdsl_graph": 1, "kind": "Graph", "name": "x", "instructions": [{"kind": "Nonsense"}]}', "'Nonsense'"),
    ],
)
def test_what_is_no_graph_is_said(write: Any, sgdsl: Any, text: str, reason: str) -> None:
    write("")
    Path("bad.json").write_text(text, encoding="utf-8")
    code, out, err = sgdsl("run", "bad.json")
    assert (code, out) == (1, "")
    assert err.startswith("sgdsl: bad.json: ")
    assert reason in err


def test_a_picture_needs_graphviz(write: Any, sgdsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    code, _, err = sgdsl("trace", write(PROGRAM), "--graph", "out.svg")
    assert code == 1
    assert "Graphviz" in err


def test_an_unknown_kind_of_drawing_is_refused(write: Any, sgdsl: Any) -> None:
    code, _, err = sgdsl("trace", write(PROGRAM), "--graph", "out.png")
    assert code == 2
    assert "the name ends in .dot, .gv, .json, .mmd, .svg or .txt" in err


def test_a_dry_run_tells_what_it_costs(write: Any, sgdsl: Any) -> None:
    code, out, err = sgdsl("run", write(PROGRAM), "--dry-run", "--", "milk")
    assert (code, err) == (0, "")
    assert "calls      2 gens" in out
    assert "streams    1, in 2 rounds" in out
    assert "generated  at most 16 tokens" in out
    entry = json.loads(sgdsl("run", write(PROGRAM), "--dry-run", "--json")[1])
    assert entry["estimate"]["gens"] == 2
    assert entry["graph"]["name"] == "main"
    assert entry["findings"] == []


def test_a_dry_run_says_where_the_graph_ends(write: Any, sgdsl: Any) -> None:
    code, out, _ = sgdsl("run", write(BRANCHING), "--dry-run")
    assert code == 0
    assert "a comparison with the value 'so' needs what is there only when the program runs" in out
    assert "This is the beginning" in out


def test_what_cannot_run_through_is_found_before_it_runs(write: Any, sgdsl: Any) -> None:
    code, _, err = sgdsl("run", write(IMPOSSIBLE), "--dry-run")
    assert code == 1
    assert err.startswith("sgdsl: error: program.py:5 in main: gen age: ")
    assert sgdsl("trace", "program.py")[0] == 1
    code, _, err = sgdsl("run", write(USELESS_STOP), "--dry-run")
    assert code == 0
    assert "sgdsl: warning: program.py:5 in main: gen age: stop='\\n' can never come" in err


def test_a_script_has_no_graph(write: Any, sgdsl: Any) -> None:
    script = write('if __name__ == "__main__":\n    print(1)\n')
    assert "is a script" in sgdsl("trace", script)[2]
    assert sgdsl("run", script, "--dry-run")[0] == 2
