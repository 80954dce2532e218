from __future__ import annotations

from collections.abc import Callable

import pytest

from grammars import GrammarLimit
from grammars.deadline import Deadline
from grammars.errors import GrammarCancelled, GrammarTimeout


@pytest.fixture
def clock() -> list[float]:
    """What the time is."""
    return [5.0]


@pytest.fixture
def tell(clock: list[float]) -> Callable[[], float]:
    return lambda: clock[0]


def test_it_passes(clock: list[float], tell: Callable[[], float]) -> None:
    deadline = Deadline(2, clock=tell)
    deadline.check("too late")
    clock[0] = 6.5
    assert deadline.left == 0.5
    deadline.check("too late")
    clock[0] = 7.5
    with pytest.raises(GrammarTimeout, match=r"^too late$") as caught:
        deadline.check("too late")
    assert isinstance(caught.value, GrammarLimit)


def test_a_pause_of_the_process_counts_as_little_as_a_piece_of_work(
    clock: list[float], tell: Callable[[], float]
) -> None:
    deadline = Deadline(2, clock=tell, most_at_once=0.5)
    for _ in range(4):
        clock[0] += 100
        deadline.check("too late")
    assert deadline.left == 0
    clock[0] += 0.1
    with pytest.raises(GrammarTimeout):
        deadline.check("too late")


def test_it_is_over_when_nobody_waits() -> None:
    cancelled: list[bool] = []
    deadline = Deadline(1000, is_cancelled=lambda: bool(cancelled))
    deadline.check("too late")
    cancelled.append(True)
    with pytest.raises(GrammarCancelled, match="nobody waits"):
        deadline.check("too late")
