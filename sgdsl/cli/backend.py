"""Backend: the one a command line asks for, started and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.meter import Meter

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend

__all__ = ["started"]


@contextmanager
def started(kind: str, settings: Mapping[str, Any]) -> Iterator[tuple[Meter, str]]:
    """The backend, and one line that says what it is. It ends with the block.

    Raises:
        UsageError: settings that contradict each other or this machine.
        CommandError: the model cannot be had.
    """
    if kind == "mock":
        from sgdsl.backends.mock import Mock

        yield Meter(cast("Backend", Mock())), "mock: a dry run without a model"
        return
    from runtime.engine import Engine
    from runtime.errors import ConfigError, ModelLoadError
    from sgdsl.backends.engine import EngineBackend

    try:
        engine = Engine(**settings)
    except ConfigError as error:
        raise UsageError(f"--set: {error}") from error
    except ModelLoadError as error:
        raise CommandError(str(error)) from error
    with engine:
        yield Meter(EngineBackend.of(engine)), _line(engine.describe())


def _line(described: Mapping[str, str]) -> str:
    model, weights, attention, threads = (
        described.get(name, "?") for name in ("model", "weight_format", "attention", "threads")
    )
    return f"{model}: {weights} weights, {attention} attention, {threads} threads"
