from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from sgdsl.passes.satisfiable import satisfiable


@pytest.mark.parametrize(
    ("options", "is_found"),
    [
        ({"regex": "a+"}, False),
        ({"regex": r"[^\s\S]"}, True),
        ({"json_schema": {"type": "integer", "minimum": 3, "maximum": 1}}, True),
        ({"json_schema": {"type": "integer", "minimum": 3}}, False),
        ({"lark": "start: missing"}, True),
        ({"type": bool}, False),
        ({}, False),
    ],
)
def test_constraints_that_no_text_fulfils(options: dict[str, Any], is_found: bool) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("a", **options)

    @sg.function
    def calling(s: sg.ProgramState) -> None:
        program()

    for graph in (program.trace(), calling.trace()):
        found = satisfiable(graph)
        assert [finding.check for finding in found] == ["satisfiable"] * is_found
        for finding in found:
            assert finding.severity == "error"
            assert str(finding).startswith("test_satisfiable.py:")
            assert " in program: gen a: " in str(finding)
