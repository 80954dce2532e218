"""What went wrong, as one line."""

from pathlib import Path

import pytest

import sgdsl as sg
from sgdsl.cli.failure import one_line
from sgdsl.errors import TraceError


@sg.function
def branching(s):
    s += sg.gen("answer", max_tokens=2)
    if s["answer"] == "yes":
        s += "more"


def test_the_line_of_a_program_that_cannot_be_traced_is_said_once():
    with pytest.raises(TraceError) as caught:
        branching.compile()
    line = one_line(caught.value, Path(__file__))
    assert line.count("test_failure.py:") == 1
    assert ":15 in branching: a comparison with the value 'answer'" in line
