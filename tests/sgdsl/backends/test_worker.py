from __future__ import annotations

import threading

import pytest

from sgdsl.backends.worker import Worker


def test_a_task_that_raises_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    worker, done = Worker("tasks"), threading.Event()

    def wrong() -> None:
        raise ArithmeticError("mine")

    worker.post(wrong)
    worker.post(done.set)
    assert done.wait(5)
    assert "the thread tasks raised" in caplog.text


def test_earlier_ones_come_first_and_equal_ones_in_their_order() -> None:
    worker, done, seen = Worker(), threading.Event(), list[str]()
    worker.post(lambda: seen.append("later"), 0.05)
    for name in "abc":
        worker.post(lambda name=name: seen.append(name))  # type: ignore[misc]
    worker.post(done.set, 0.06)
    assert done.wait(5)
    assert seen == ["a", "b", "c", "later"]
