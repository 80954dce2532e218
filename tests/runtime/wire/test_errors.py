from __future__ import annotations

from typing import Any

import pytest

import grammars.errors
import runtime.errors
from grammars.errors import UnsupportedConstraint
from runtime.errors import ContextLengthExceeded, EngineClosed, EngineError, InvalidParameter, anew
from runtime.wire.codec import Reader, encode
from runtime.wire.errors import Problem, error_of, problem_of

PROBLEM: Reader[Problem] = Reader(Problem)


def sent(error: BaseException) -> Exception:
    return error_of(PROBLEM.decode(encode(problem_of(error)), "problem"))


@pytest.mark.parametrize(
    "error",
    [
        InvalidParameter("top_p", 7, "a number"),
        ContextLengthExceeded("too long"),
        EngineClosed("it was shut down"),
        UnsupportedConstraint("pattern", "/a", "no"),
    ],
)
def test_an_error_is_the_same_on_the_other_side(error: Exception) -> None:
    found = sent(error)
    assert (type(found), str(found)) == (type(error), str(error))
    assert str(anew(found)) == str(error)


def test_a_parameter_keeps_its_name_and_value() -> None:
    found: Any = sent(InvalidParameter("stop", ["a", 1], "strings"))
    assert (found.field, found.value) == ("stop", ["a", 1])
    found = sent(InvalidParameter("constraint", object, "a spec"))
    assert found.value == repr(object)


@pytest.mark.parametrize("value", [2**70, float("inf"), "\ud800", {"a": "\ud800"}, [object], {1: b"x"}])
def test_a_value_that_cannot_be_sent_is_shown(value: object) -> None:
    found: Any = sent(InvalidParameter("field", value, "no"))
    assert found.value == repr(value)
    assert str(found) == str(InvalidParameter("field", value, "no"))


def test_a_message_with_half_a_character_can_be_sent() -> None:
    assert str(sent(EngineClosed("a \ud800"))) == r"a \ud800"


def test_every_class_of_error_can_be_sent() -> None:
    for module in (runtime.errors, grammars.errors):
        for name in module.__all__:
            if name[0].isupper():
                assert type(error_of(Problem(name, "m"))) is getattr(module, name)


def test_any_other_error_names_its_class() -> None:
    for found in (sent(KeyError("x")), error_of(Problem("anew", "m")), error_of(Problem("SystemExit", "m"))):
        assert type(found) is EngineError
    assert str(sent(ZeroDivisionError())) == "ZeroDivisionError: ZeroDivisionError"
