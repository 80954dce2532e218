"""What a program is told of a constraint that cannot be compiled."""

from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from grammars import GrammarLimit, InvalidSpec, UnsupportedConstraint

CASES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"json_schema": {"properties": {"a": {"type": "strin"}}}}, InvalidSpec, 'type at /properties/a: "strin"'),
    ({"json_schema": {"properties": {"a": {"$ref": "#/no"}}}}, InvalidSpec, r"\$ref at /properties/a: '#/no'"),
    ({"json_schema": {"$ref": "http://x/y"}}, UnsupportedConstraint, r"\$ref at /: 'http://x/y'"),
    ({"json_schema": '{"items":' * 400 + "{}" + "}" * 400}, GrammarLimit, "json_schema: .*deeper than"),
    ({"json_schema": {"allOf": [{"type": "string"}, {"type": "null"}]}}, InvalidSpec, "json_schema: no value"),
    ({"regex": r"(a)\1"}, UnsupportedConstraint, "reference to a group"),
    ({"lark": 'start: "a" missing'}, InvalidSpec, "lark: rule missing"),
    ({"lark": 'start: "a" ('}, InvalidSpec, "lark: line 1, column 13"),
    ({"grammar": 'root ::= "a" x'}, InvalidSpec, "grammar: there is no rule"),
]


@sg.function
def program(s: Any, options: dict[str, Any]) -> None:
    s += sg.gen("a", **options)


@pytest.mark.parametrize(("options", "kind", "named"), CASES, ids=[case[2][:20] for case in CASES])
def test_keyword_and_path_are_named(options: dict[str, Any], kind: type[Exception], named: str) -> None:
    with pytest.raises(sg.ProgramError, match=rf'in program: gen "a": {named}') as caught:
        program.run(options, backend=sg.Mock())
    assert type(caught.value.__cause__) is kind
    assert "\n" not in str(caught.value)


def test_others_of_the_batch_are_not_harmed() -> None:
    batch = [({"json_schema": {"type": "boolean"}},), CASES[3][:1], ({"regex": "ab"},), CASES[0][:1]]
    states = program.run_batch(batch, backend=sg.Mock(), return_exceptions=True)
    assert [isinstance(state, sg.ProgramError) for state in states] == [False, True, False, True]
    assert states[2]["a"] == "ab"
