from __future__ import annotations

import sgdsl as sg
from sgdsl.passes.check import check, fits
from sgdsl.passes.finding import Finding
from sgdsl.source import Source


@sg.function
def program(s: sg.ProgramState, text: str = "w w") -> None:
    s += sg.gen("a", regex="[0-9]", stop="x")
    s += "one two three four " + sg.gen("b", max_tokens=2)
    s += sg.gen("c", regex=r"[^\s\S]")


def test_everything_is_found_in_program_order() -> None:
    graph = program.trace()
    assert [finding.check for finding in check(graph)] == ["stops", "satisfiable"]
    assert [finding.check for finding in check(graph, sg.Mock())] == ["stops", "satisfiable"]
    found = check(graph, sg.Mock(context_length=3))
    assert [finding.severity for finding in found if finding.check == "budget"] == ["warning", "error", "error"]
    lines = [finding.source.line for finding in found if finding.source is not None]
    assert lines == sorted(lines)


def test_a_backend_that_does_not_tokenize_is_not_asked() -> None:
    mock = sg.Mock()
    mock.capabilities = sg.Capabilities(context_length=1)
    assert fits(program.trace(), mock) == []


def test_a_finding_says_where() -> None:
    assert str(Finding("budget", "too long", Source("/a/b.py", 3, "f"))) == "b.py:3 in f: too long"
    assert str(Finding("budget", "too long")) == "too long"
