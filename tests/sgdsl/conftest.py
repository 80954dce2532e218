from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sgdsl as sg


@pytest.fixture
def mock() -> sg.Mock:
    return sg.Mock()


@pytest.fixture(autouse=True)
def _no_default_backend() -> Iterator[None]:
    sg.set_default_backend(None)
    yield
    sg.set_default_backend(None)


class Gate:
    """A script that holds every call back until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()

    def __call__(self, prompt: str, params: object) -> str:
        self.reached.set()
        assert self.opened.wait(10)
        return "late"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture(scope="session")
def settles() -> Callable[..., bool]:
    """Whether something becomes so within a few seconds."""

    def check(condition: Callable[[], bool], seconds: float = 10) -> bool:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        return condition()

    return check


@pytest.fixture(scope="session")
def is_idle() -> Callable[[Any], bool]:
    """Whether an engine has no session and runs no request."""

    def check(engine: Any) -> bool:
        ledger = engine.stats()["ledger"]
        return bool(ledger["session"] == 0 and ledger["request"] == 0)

    return check
