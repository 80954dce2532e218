from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sgdsl as sg
from sgdsl.cli.arguments import Arguments
from sgdsl.cli.conversion import convert
from sgdsl.cli.errors import UsageError


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


def everything(
    s: Any,
    text: str,
    number: int = 1,
    share: float = 0.5,
    loud: bool = False,
    folder: Path = Path("."),
    mode: Literal["a", "b", 3] = "a",
    colour: Colour = Colour.RED,
    maybe: Optional[int] = None,  # noqa: UP045 -- both ways to write it
    other: int | str | None = None,
    tags: list[int] | None = None,
    size: tuple[int, ...] = (),
    *,
    data: dict[str, int] | None = None,
) -> None: ...


def bind(function: Any, *words: str) -> tuple[list[Any], dict[str, Any]]:
    return Arguments.of(sg.function(function)).bind(words)


DEFAULTS = bind(everything, "x")[1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["x"], {}),
        (["--text", "x", "7"], {"number": 7}),
        (["x", "-7", "--share=-1e3"], {"number": -7, "share": -1000.0}),
        (["--number", "2", "x", "0.25"], {"number": 2, "share": 0.25}),
        (["x", "--loud"], {"loud": True}),
        (["--loud", "x"], {"loud": True}),
        (["x", "--loud", "false"], {}),
        (["x", "--loud=yes"], {"loud": True}),
        (["x", "--no-loud"], {}),
        (["x", "--folder", "/tmp/y"], {"folder": Path("/tmp/y")}),
        (["x", "--mode", "3"], {"mode": 3}),
        (["x", "--colour", "b"], {"colour": Colour.BLUE}),
        (["x", "--colour", "BLUE"], {"colour": Colour.BLUE}),
        (["x", "--maybe", "5"], {"maybe": 5}),
        (["x", "--maybe", "none"], {}),
        (["x", "--other", "5"], {"other": 5}),
        (["x", "--other", "five"], {"other": "five"}),
        (["x", "--tags", "1", "2", "--loud"], {"tags": [1, 2], "loud": True}),
        (["x", "--tags", "1", "--tags", "2"], {"tags": [1, 2]}),
        (["x", "--size", "3", "4"], {"size": (3, 4)}),
        (["x", "--data", '{"a": 1}'], {"data": {"a": 1}}),
        (["--", "--odd"], {"text": "--odd"}),
        (["--text=--odd"], {"text": "--odd"}),
    ],
)
def test_words_become_values(words: list[str], expected: dict[str, Any]) -> None:
    args, kwargs = bind(everything, *words)
    assert args == []
    assert kwargs == DEFAULTS | expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"the program needs --text \(text\)"),
        (["x", "--number", "seven"], "--number: 'seven' is not allowed: an integer"),
        (["x", "--share", "much"], "--share: 'much' is not allowed: a number"),
        (["x", "--loud=maybe"], "--loud: 'maybe' is not allowed: true or false"),
        (["x", "--mode", "c"], "--mode: 'c' is not allowed: one of a, b, 3"),
        (["x", "--colour", "green"], "--colour: 'green' is not allowed: one of r, b"),
        (["x", "--maybe", "x"], "--maybe: 'x' is not allowed: an integer or none"),
        (["x", "--tags", "1", "b"], "--tags: 'b' is not allowed: an integer"),
        (["x", "--data", "["], r"--data: '\[' is not allowed: JSON for"),
        (["x", "--number"], "--number needs a value"),
        (["x", "--number", "--loud"], "--number needs a value"),
        (["x", "--number", "1", "--number", "2"], "--number is given twice"),
        (["x", "--nonsense", "1"], "the program has no argument --nonsense; it has --text, --number"),
    ],
)
def test_what_does_not_fit_is_named(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        bind(everything, *words)


def test_a_surplus_word_is_named() -> None:
    def one(s: Any, a: int) -> None: ...

    with pytest.raises(UsageError, match=r"^'2' is one argument too many; the program takes --a$"):
        bind(one, "1", "2")


def test_extra_words_and_names_go_where_the_function_takes_them() -> None:
    def loose(s: Any, a: int, *rest: float, b: str = "", **more: int) -> None: ...

    assert bind(loose, "1", "2", "3", "--c", "4") == ([1, 2.0, 3.0], {"b": "", "c": 4})
    assert bind(loose, "1", "--b", "x") == ([], {"a": 1, "b": "x"})


def test_positional_only_parameters_are_passed_by_position() -> None:
    def strict(s: Any, a: int, /, b: int = 2) -> None: ...

    assert bind(strict, "--a", "1") == ([1, 2], {})


def test_without_an_annotation_the_default_says_the_type() -> None:
    def bare(s, a, b=2, c=False): ...  # type: ignore[no-untyped-def]

    assert bind(bare, "1", "5", "--c") == ([], {"a": "1", "b": 5, "c": True})


def test_bound_arguments_are_not_asked_for() -> None:
    def two(s: Any, a: int, b: int) -> None: ...

    arguments = Arguments.of(sg.function(two).bind(a=1))
    assert arguments.bind(["2"]) == ([], {"b": 2})


def test_help_lists_every_parameter_with_type_and_default() -> None:
    def documented(s: Any, ticket: str, *, max_steps: int = 3, tags: Sequence[str] = ()) -> None:
        """Routes a ticket."""

    program = sg.function(documented)
    lines = Arguments.of(program).help(program, "file.py").splitlines()
    assert lines == [
        "usage: sgdsl run file.py -- --ticket TICKET [--max-steps MAX_STEPS] [--tags TAGS …]",
        "",
        "Routes a ticket.",
        "",
        "  --ticket     text",
        "  --max-steps  an integer (default: 3)",
        "  --tags       one or more of: text (default: ())",
    ]


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans()))
def test_what_a_value_is_written_as_is_read_as_that_value(value: float) -> None:
    assert convert(str(value), type(value)) == value


@given(st.text())
def test_text_stays_as_it_is(text: str) -> None:
    assert convert(text, str) == text
    assert convert(text, Any) == text
