"""Result: what a run came to, as it is saved and read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from sgdsl.cli.errors import UsageError

__all__ = ["Result", "differences", "read_result"]


class Throughput(msgspec.Struct, frozen=True):
    """Tokens a second in equal spans, whose middles are so many seconds after the first request began."""

    seconds: list[float]
    tokens_per_second: list[float]


class Curves(msgspec.Struct, frozen=True):
    """As `sgdsl.cli.bench.curves` makes them."""

    throughput: Throughput
    first_token_seconds: list[float]
    per_token_seconds: list[float]
    request_seconds: list[float]


class Spread(msgspec.Struct, frozen=True):
    """Seconds."""

    mean: float
    p50: float
    p90: float
    p99: float


class Result(msgspec.Struct, frozen=True):
    """Of all that is saved, what is shown beside other runs.

    Attributes:
        label: what the run is called.
        load: what was asked for, by the names of the options.
        cached_share: of the prompts' tokens; None where the server does not tell.
    """

    label: str
    load: dict[str, Any]
    completed: int
    requests: int
    requests_per_second: float
    new_tokens_per_second: float
    cached_share: float | None
    first_token_seconds: Spread | None
    per_token_seconds: Spread | None
    request_seconds: Spread | None
    curves: Curves


def read_result(path: Path) -> Result:
    """A result that `sgdsl bench serve --json` wrote.

    Raises:
        UsageError: there is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise UsageError(f"--compare {path}: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--compare {path}: not a result of `sgdsl bench serve --json`: {error}") from None


def differences(own: Result, others: Sequence[Result]) -> list[str]:
    """Where others had another load, a line each."""
    return [
        f"{other.label} had another load: {', '.join(named)}"
        for other in others
        if (named := [f"{key}={value}" for key, value in other.load.items() if own.load.get(key) != value])
    ]
