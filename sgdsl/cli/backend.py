"""Backend: the one a command line asks for, started and counted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.meter import Meter
from sgdsl.errors import InvalidArgument, SgdslError

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend

__all__ = ["connected", "started"]


@contextmanager
def started(kind: str, settings: Mapping[str, Any]) -> Iterator[tuple[Meter, str]]:
    """The backend, and one line that says what it is. It ends with the block.

    Args:
        kind: `engine`, `mock`, or the URL of a server.

    Raises:
        UsageError: settings that contradict each other or this machine, or that are the server's own.
        CommandError: the model cannot be had, or the server not be reached.
    """
    if kind not in ("engine", "mock"):
        own = sorted(set(settings) - {"model"})
        if own:
            raise UsageError(f"--backend {kind}: {', '.join(own)}: settings are the server's own")
        with connected(kind, settings.get("model"), "--backend") as found:
            yield found
        return
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


@contextmanager
def connected(url: str, model: str | None, option: str = "--url") -> Iterator[tuple[Meter, str]]:
    """The backend at a URL, as `started`: of the OpenAI API where the path ends in `/v1`, else a server of ours.

    Their keys are the environment's `OPENAI_API_KEY` and `SGDSL_API_KEY`.

    Raises:
        UsageError: no model is named where one must be, or the URL is none.
        CommandError: the server cannot be reached, or a package is missing.
    """
    backend = _backend_at(url, model, option)
    try:
        yield Meter(backend), f"{getattr(backend, 'model', model)} at {url}"
    finally:
        backend.close()


def _backend_at(url: str, model: str | None, option: str) -> Backend:
    import sgdsl

    try:
        if not url.rstrip("/").endswith("/v1"):
            return cast("Backend", sgdsl.RuntimeEndpoint(url, os.environ.get("SGDSL_API_KEY")))
        if model is None:
            raise UsageError(f"{option} {url}: which of its models? --model NAME says")
        return cast("Backend", sgdsl.OpenAI(model, base_url=url))
    except InvalidArgument as error:
        raise UsageError(f"{option}: {error}") from error
    except SgdslError as error:
        raise CommandError(f"{option}: {error}") from error


def _line(described: Mapping[str, str]) -> str:
    model, weights, attention, threads = (
        described.get(name, "?") for name in ("model", "weight_format", "attention", "threads")
    )
    return f"{model}: {weights} weights, {attention} attention, {threads} threads"
