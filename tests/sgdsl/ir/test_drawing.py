from __future__ import annotations

import re
import shutil
import subprocess

import pytest

import sgdsl as sg
from sgdsl.ir import Graph

HOSTILE = ['say "hi"', "a\\nb\\", "</script><b>&amp;", "[x](y) {z} |a|", "line\nbreak\r", "`*md*`", "#35; %% x", "é😀"]


@pytest.fixture
def hostile() -> Graph:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        for text in HOSTILE:
            s += text + sg.gen(text, stop=[text]) + sg.select(text + "?", [text, "b"])

    return program.trace()


LABEL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def unquoted(line: str) -> str:
    return LABEL.sub("", line)


@pytest.mark.parametrize("which", ["graph", "hostile"])
def test_dot_is_well_formed(which: str, request: pytest.FixtureRequest) -> None:
    graph = request.getfixturevalue(which)
    dot = graph.to_dot()
    for line in dot.splitlines():
        assert '"' not in unquoted(line)  # every quote is closed on its line
    bare = [unquoted(line) for line in dot.splitlines()]
    assert sum(line.count("{") - line.count("}") for line in bare) == 0
    boxes = set(re.findall(r"^    (n\d+) \[label=, fillcolor=\w+\];$", "\n".join(bare), re.MULTILINE))
    arrows = re.findall(r"^  (n\d+) -> (n\d+)(?: \[style=\w+(?:, constraint=false)?\])?;$", dot, re.MULTILINE)
    assert arrows
    assert {end for arrow in arrows for end in arrow} <= boxes
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=dot.encode(), check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("which", ["graph", "hostile"])
def test_mermaid_is_well_formed(which: str, request: pytest.FixtureRequest) -> None:
    graph = request.getfixturevalue(which)
    lines = graph.to_mermaid().splitlines()
    assert lines[0] == "flowchart TB"
    boxes = {}
    for line in lines[1:]:
        if box := re.fullmatch(r'    (n\d+)\["([^"\\`<>&]*(?:<br/>[^"\\`<>&]*)*)"\]:::(text|model|other)', line):
            boxes[box[1]] = box[2]
        else:
            assert re.fullmatch(
                r'  subgraph s\d+\["stream \d+"\]|  end|  classDef \w+ fill:#\w+,stroke:#\w+'
                r"|  n\d+ (-->|-\.->|-\. reads \.->) n\d+",
                line,
            )
    ends = re.findall(r"\b(n\d+)\b(?!\[)", "\n".join(line for line in lines if "-" in line and "[" not in line))
    assert set(ends) <= boxes.keys()
    shown = [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) for label in boxes.values()]
    if which == "hostile":
        assert '"say \\"hi\\""' in shown
        assert any(label.startswith('"</script><b>&amp;"') for label in shown)


def test_arrows_lead_to_what_is_read(graph: Graph) -> None:
    dot = graph.to_dot()
    box = {label: name for name, label in re.findall(r'^    (n\d+) \[label="(.*)\\l", fill', dot, re.MULTILINE)}
    answer = next(name for label, name in box.items() if label.startswith("answer = gen"))
    call = next(name for label, name in box.items() if label.startswith("call summary"))
    kept = next(name for label, name in box.items() if label.startswith("kept is"))
    marks = next(name for label, name in box.items() if label.startswith("join [1] [2]"))
    assert f"{answer} -> {call} [style=dotted" in dot
    assert f"{marks} -> {kept} [style=dotted" in dot
    assert dot.count("style=dashed") == 3


def test_runs_of_text_are_one_box() -> None:
    program = sg.function(lambda s, topic: s.user("a" + topic + "b"))
    assert program.trace().to_dot().count("fillcolor=gray95") == 1


def test_drawings_are_the_same_every_time(graph: Graph) -> None:
    assert graph.to_dot() == Graph.from_json(graph.to_json()).to_dot()
    assert graph.to_mermaid() == Graph.from_json(graph.to_json()).to_mermaid()
