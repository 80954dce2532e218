"""Sides without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import sgdsl as sg


@dataclass
class MockSide:
    """A side that answers from a script."""

    name: str
    is_ours: bool = True
    script: Any = None
    about: str = "a mock"
    order: list[str] = field(default_factory=list)
    asked: int = 0
    mock: sg.Mock = field(init=False)

    def __post_init__(self) -> None:
        self.mock = sg.Mock(self.script)

    def backend(self, *, is_chat: bool) -> Any:
        self.asked += 1
        self.order.append(self.name)
        return self.mock

    def cpu_seconds(self) -> float | None:
        return None

    def computed_tokens(self) -> int | None:
        return None

    def close(self) -> None:
        return None


@pytest.fixture
def make_side() -> Callable[..., MockSide]:
    return MockSide
