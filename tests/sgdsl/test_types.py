from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import sgdsl as sg
from grammars.spec import Choice, JsonSchema, Regex
from sgdsl.backends.example import example
from sgdsl.errors import InvalidArgument
from sgdsl.types import dtype_pattern, typed


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(BaseModel):
    name: str
    age: int


@dataclass
class Point:
    x: float
    y: float


class Movie(TypedDict):
    title: str
    year: int


class Part(TypedDict, total=False):
    movie: Movie


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "-12", -12),
        (float, "3.5", 3.5),
        (bool, "True", True),
        (bool, "False", False),
        (str, "any text", "any text"),
        (Literal["a", 2], "2", 2),
        (Colour, "blue", Colour.BLUE),
        (list[int], "[1, 2]", [1, 2]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (int | None, "null", None),
        (Point, '{"x": 1.0, "y": 2.0}', Point(1.0, 2.0)),
        (Movie, '{"title": "M", "year": 1931}', {"title": "M", "year": 1931}),
        (list[Movie], '[{"title": "M", "year": 1931}]', [{"title": "M", "year": 1931}]),
        (Movie | None, "null", None),
        (Part, "{}", {}),
        (Person, '{"name": "Ada", "age": 36}', Person(name="Ada", age=36)),
    ],
)
def test_texts_become_values(kind: Any, text: str, value: Any) -> None:
    assert typed(kind).parse(text) == value


def test_scalars_and_options_are_bare_and_the_rest_is_json() -> None:
    assert typed(str).constraint is None
    assert isinstance(typed(int).constraint, Regex)
    assert typed(Literal["a", "b"]).constraint == Choice(("a", "b"))
    assert typed(Colour).constraint == Choice(("red", "blue"))
    constraint = typed(Person).constraint
    assert isinstance(constraint, JsonSchema)
    assert json.loads(constraint.schema)["required"] == ["name", "age"]


@given(st.integers())
def test_every_integer_fits_the_pattern_of_int(number: int) -> None:
    constraint = typed(int).constraint
    assert isinstance(constraint, Regex)
    assert re.fullmatch(constraint.pattern, str(number))
    assert not re.fullmatch(constraint.pattern, f"0{number}")


@pytest.mark.parametrize(
    "kind", [Person, Point, Movie, Part, list[Person], dict[str, list[int]], int | None, tuple[int, str]]
)
def test_examples_are_valid_values(kind: Any) -> None:
    made = typed(kind)
    assert isinstance(made.constraint, JsonSchema)
    text = example(made.constraint)
    jsonschema.validate(json.loads(text), json.loads(made.constraint.schema))
    made.parse(text)


def test_values_written_alike_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="written alike"):
        typed(Literal["1", 1])


def test_types_without_a_schema_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="type="):
        typed(object())


@pytest.mark.parametrize("dtype", [int, float, bool, str])
def test_a_dtype_may_end_with_a_stop_string(dtype: type) -> None:
    texts = {int: "42", float: "4.5", bool: "True", str: '"a b"'}
    pattern = dtype_pattern(dtype, ("\n", "."))
    for end in ("", "\n", "."):
        assert re.fullmatch(pattern, texts[dtype] + end)
    assert not re.fullmatch(pattern, texts[dtype] + "x")


@pytest.mark.parametrize("kind", [complex, object])
def test_types_nothing_can_be_held_to_are_refused_at_once(kind: Any) -> None:
    with pytest.raises(InvalidArgument, match="JSON has no such value"):
        typed(kind)


@pytest.mark.parametrize("raised", [ValueError("mine"), LookupError("mine"), SystemExit("mine")])
def test_a_validator_that_raises_fails_its_gen_alone(raised: BaseException) -> None:
    @dataclass
    class Strict:
        x: int

        def __post_init__(self) -> None:
            raise raised

    @sg.function
    def program(s: sg.ProgramState, kind: Any) -> Any:
        s += sg.gen("x", type=kind)
        return s["x"]

    mock = sg.Mock({"x": '{"x": 1}'})
    with pytest.raises(sg.ProgramError, match=r'gen "x": .*mine'):
        program.run(Strict, backend=mock, timeout=10)
    assert program.run(dict[str, int], backend=mock, timeout=10).ret_value == {"x": 1}
