from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import ConfigError
from runtime.server.config import ServerConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1}, {"port": 70000}, {"max_body_bytes": 0}, {"max_requests": 0}, {"max_samples": 0},
        {"drain_seconds": -1.0}, {"drain_seconds": float("nan")}, {"keep_alive_seconds": 0.0}, {"api_keys": ("",)},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_allowed_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=name):
        ServerConfig(**wrong)
