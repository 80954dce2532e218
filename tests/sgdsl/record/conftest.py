from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

import sgdsl as sg
from sgdsl.record.history import History


@sg.function
def grade(s: sg.ProgramState, essay: str) -> str:
    s += "Grade " + essay + ": " + sg.gen("grade", regex="[1-5]")
    value: str = s["grade"]
    return value


@sg.function
def everything(s: sg.ProgramState, ticket: str) -> list[str]:
    s += sg.user(ticket)
    s += sg.assistant(sg.gen("reason", stop=".", return_logprob=True) + sg.select("team", ["billing", "infra"]))
    forks = s.fork(2)
    forks += lambda i: f"tip {i}:" + sg.gen("tip", max_tokens=3)
    forks.join()
    point = s.checkpoint()
    s += "away" + sg.gen("gone", n=2)
    s.rollback(point)
    s["mark"] = grade(s["reason"])
    return s["tip"]  # type: ignore[no-any-return]


ANSWERS = {"reason": "he paid twice. And", "team": "infra", "tip": ["first", "second"], "grade": "4"}


@pytest.fixture
def recorded() -> tuple[sg.ProgramState, sg.Recorder]:
    """A program with everything in it, run on the mock."""
    recorder = sg.Recorder()
    state = everything.run("My card?", backend=sg.Mock(dict(ANSWERS)), record=recorder)
    return state, recorder


@pytest.fixture
def history(recorded: tuple[sg.ProgramState, sg.Recorder]) -> History:
    return History(recorded[1].entries)


@pytest.fixture
def record_of() -> Callable[..., sg.Recorder]:
    """Runs a program on the mock and returns its record, however it ends."""

    def run(program: sg.Program, *args: object, script: object = None) -> sg.Recorder:
        recorder = sg.Recorder()
        with suppress(Exception):
            program.run(*args, backend=sg.Mock(script), record=recorder)  # type: ignore[arg-type]
        return recorder

    return run
