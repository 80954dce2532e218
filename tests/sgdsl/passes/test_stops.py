from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from sgdsl.passes.stops import stops


@pytest.mark.parametrize(
    ("options", "is_found"),
    [
        ({"regex": "[0-9]+"}, True),
        ({"regex": "[0-9]+x?"}, False),
        ({"regex": ".*"}, False),
        ({"json_schema": {"type": "string"}}, False),
        ({"type": bool}, True),
        ({"type": int}, True),
        ({"lark": 'start: "x"'}, False),
        ({}, False),
    ],
)
def test_stops_that_can_never_come(options: dict[str, Any], is_found: bool) -> None:
    program = sg.function(lambda s: s.user(sg.gen("a", stop="x", **options)))
    found = stops(program.trace())
    assert bool(found) == is_found
    if found:
        assert found[0].severity == "warning"
        assert "gen a: stop='x' can never come, for its" in found[0].message
        assert str(found[0]).startswith("test_stops.py:")


def test_line_breaks_in_json_and_called_programs() -> None:
    @sg.function
    def inner(s: sg.ProgramState) -> None:
        s += sg.gen("a", json_schema={"type": "string"}, stop=["\n", "}"])

    @sg.function
    def program(s: sg.ProgramState) -> None:
        inner()
        s += sg.separate_reasoning(sg.gen("b", regex="[0-9]", stop="x"), "qwen3")

    assert [finding.message.split(" can")[0] for finding in stops(program.trace())] == [r"gen a: stop='\n'"]
