from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass

from sgdsl.source import Source, caller, raised_at


def test_the_caller_is_the_innermost_frame_outside_the_package() -> None:
    line = sys._getframe().f_lineno + 1
    found = caller()
    assert found == Source(__file__, line, "test_the_caller_is_the_innermost_frame_outside_the_package")
    assert str(found) == f"test_source.py:{line} in test_the_caller_is_the_innermost_frame_outside_the_package"


def test_context_managers_of_the_standard_library_are_looked_through() -> None:
    found: list[Source | None] = []

    @contextlib.contextmanager
    def scope():  # type: ignore[no-untyped-def]
        found.append(caller())
        yield

    with scope():
        pass
    assert found[0] is not None
    assert found[0].file == __file__


def test_where_an_exception_was_raised() -> None:
    def inner() -> None:
        raise LookupError

    try:
        inner()
    except LookupError as error:
        found = raised_at(error.__traceback__)
    assert found is not None
    assert (found.function, found.line) == ("inner", inner.__code__.co_firstlineno + 1)
    assert raised_at(None) is None


def test_a_failure_in_a_library_is_the_programs_line_that_called_it() -> None:
    try:
        line = sys._getframe().f_lineno + 1
        json.loads("{")
    except ValueError as error:
        found = raised_at(error.__traceback__)
    assert found is not None
    assert (found.file, found.line) == (__file__, line)


def test_code_made_up_at_run_time_is_nobodys_file() -> None:
    @dataclass
    class Strict:
        value: int

        def __post_init__(self) -> None:
            raise RuntimeError(self.value)

    def build() -> None:
        exec("Strict(1)", {"Strict": Strict})

    try:
        build()
    except RuntimeError as error:
        found = raised_at(error.__traceback__)
    assert found is not None
    assert (found.file, found.function) == (__file__, "__post_init__")
