from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from runtime.handle import Handle
from sgdsl.awaited import derived
from sgdsl.outcome import Outcome, ready


def test_values_are_made_when_everything_is_there() -> None:
    first: Handle[Outcome] = Handle()
    made = derived([first, ready(Outcome(2))], lambda: first.result().value + 2)
    assert not made.done()
    first.finish(Outcome(1))
    assert made.result() == Outcome(3, None)
    assert derived([], lambda: "text").result() == Outcome("text", "text")
    assert derived([], lambda: [1], text_of=str).result() == Outcome([1], "[1]")


def test_a_failure_of_one_or_of_the_making_is_the_wholes() -> None:
    failed: Handle[Outcome] = Handle()
    failed.fail(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        derived([ready(Outcome(1)), failed], lambda: 1).result()

    def make() -> Any:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        derived([], make).result()


def test_text_that_is_none_fails_at_its_line() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("a", n=None) + "b"
        s += s["a"]

    graph = program.trace()
    compiled = program.compile()
    assert len(graph) == 3
    with pytest.raises(
        sg.ProgramError, match=r"test_awaited\.py:\d+ in program: awaited \"a\": a: text is needed, not"
    ):
        compiled.run(backend=sg.Mock(), n=2)
