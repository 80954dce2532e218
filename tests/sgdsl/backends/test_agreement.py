from __future__ import annotations

from typing import Any, get_args

import pytest

import sgdsl as sg
from grammars import (
    AnyOf,
    Choice,
    FreeText,
    Gbnf,
    GrammarError,
    JsonObject,
    JsonSchema,
    Lark,
    Regex,
    Repeat,
    Sequence,
    Spec,
    Stop,
    StructuralTag,
    Suffix,
    Tag,
)
from sgdsl.backends.agreement import check_answer

CALLS = StructuralTag((Tag("<call>", JsonSchema.of({"type": "integer"}), ("</call>",)),), ("<call>",))

CASES: list[tuple[Spec, str, str]] = [
    (Regex("a+"), "aa", "ab"),
    (Choice(("x", "y")), "y", "z"),
    (JsonSchema.of({"type": "object"}), '{"a":  1}', "{"),
    (JsonObject(), '{"a":1}', "[1]"),
    (Lark('start: "a" "b"+'), "abb", "aab"),
    (Gbnf('root ::= "a" | "b" root'), "bba", "bb"),
    (CALLS, "hm <call>12</call> ok", "<call>x</call>"),
    (FreeText(("no",)), "yes", "oh no"),
    (Stop((".",)), "One.", "One"),
    (Suffix(Regex("[a-z]+"), "!"), "hey!", "hey"),
    (Sequence(("n=", Regex("[0-9]+"))), "n=12", "12"),
    (AnyOf((Regex("a"), Regex("bb"))), "bb", "b"),
    (Repeat(Choice(("ab",)), 1, 2), "abab", "ababab"),
]


@pytest.mark.parametrize(("spec", "good", "bad"), CASES, ids=lambda value: type(value).__name__)
def test_answers_are_held_to_their_constraint(spec: Spec, good: str, bad: str) -> None:
    check_answer(good, spec)
    with pytest.raises(ValueError, match=r"."):
        check_answer(bad, spec)


@pytest.mark.parametrize("spec", [case[0] for case in CASES], ids=lambda spec: type(spec).__name__)
def test_a_mock_without_a_script_answers_as_every_spec_wants(spec: Spec) -> None:
    @sg.function
    def program(s: Any) -> None:
        s += sg.gen("a", grammar=spec)

    check_answer(program.run(backend=sg.Mock())["a"], spec)


def test_the_place_of_the_mistake_is_named() -> None:
    with pytest.raises(ValueError, match=r"'aaXb' breaks its Lark constraint at byte 2"):
        check_answer("aaXb", Lark('start: "a"+ "b"'))


def test_a_marker_stands_before_the_constrained_part() -> None:
    check_answer("anything</think>12", Regex("[0-9]+"), "</think>")
    with pytest.raises(ValueError, match="has no '</think>'"):
        check_answer("12", Regex("[0-9]+"), "</think>")


def test_a_grammar_that_is_none_says_so() -> None:
    with pytest.raises(GrammarError, match="missing"):
        check_answer("a", Lark("start: missing"))


def test_every_spec_is_within_a_backend_s_capabilities() -> None:
    assert sg.Capabilities().constraints == {kind.__name__ for kind in get_args(Spec)}
