from __future__ import annotations

import gc
import threading
import weakref

import sgdsl as sg
from sgdsl.dropping import when_dropped
from sgdsl.process import loop
from sgdsl.run import Run


class Owner:
    def __init__(self) -> None:
        self.target: Target | None = None


class Target:
    def __init__(self) -> None:
        self.done = threading.Event()


def drained() -> None:
    """Whatever was posted to the loop before has run."""
    passed = threading.Event()
    loop().post(passed.set)
    assert passed.wait(5)


def test_the_target_is_acted_on_when_the_owner_is_gone() -> None:
    owner, target = Owner(), Target()
    when_dropped(owner, loop(), target, lambda found: found.done.set())
    drained()
    assert not target.done.is_set()
    del owner
    assert target.done.wait(5)


def test_a_target_that_leads_back_to_its_owner_goes_with_it() -> None:
    owner, target = Owner(), Target()
    acted: list[object] = []
    when_dropped(owner, loop(), target, acted.append)
    target.owner, owner.target = owner, target  # type: ignore[attr-defined]
    gone = weakref.ref(target)
    del owner, target
    gc.collect()
    drained()
    assert gone() is None
    assert acted == []


def test_failed_programs_with_forks_leave_nothing_behind() -> None:
    mock = sg.Mock(lambda prompt, params: OSError("gone"))

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join()
        s["x"]

    before = set(map(id, runs()))
    results = program.run_batch([()] * 5, backend=mock, return_exceptions=True)
    assert all(isinstance(result, sg.ProgramError) for result in results)
    del results
    for _ in range(50):
        drained()
        if not [run for run in runs() if id(run) not in before]:
            return
    assert not [run for run in runs() if id(run) not in before]


def runs() -> list[Run]:
    gc.collect()
    return [found for found in gc.get_objects() if type(found) is Run]
