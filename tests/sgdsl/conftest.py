from __future__ import annotations

import threading
from collections.abc import Iterator

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
