"""Serve: `sgdsl serve`. The engine behind HTTP, for OpenAI's clients and our own."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from sgdsl.cli import logs
from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.serve_settings import ServeSettings
from sgdsl.cli.settings import engine_settings

if TYPE_CHECKING:
    from runtime.server.served_engine import ServedEngine

__all__ = ["serve"]


def serve(options: argparse.Namespace) -> int:
    """Serves until it is told to stop; returns the exit code.

    Raises:
        CommandError: it cannot begin.
    """
    if options.name is not None and options.model is not None:
        raise UsageError(f"MODEL {options.name} and --model {options.model} are given together: one is allowed")
    told = ServeSettings.of(options)
    logs.set_up(verbose=options.verbose, quiet=options.quiet, as_json=told.config.log_json)
    settings = engine_settings(options.name or options.model, options.settings, options.config)
    from runtime.errors import ConfigError, EngineError
    from runtime.server.lifecycle import serve as serve_engine
    from sgdsl.served.runner import GraphRunner

    try:
        with _stoppable(), _served(told, settings) as (engine, lines):
            _say(options, *lines)
            serve_engine(
                engine,
                told.config,
                lambda url: _say(options, f"sgdsl: {engine.model_name} at {url}"),
                GraphRunner(engine),
            )
    except ConfigError as error:
        raise UsageError(str(error)) from error
    except EngineError as error:
        raise CommandError(str(error)) from error
    return 0


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM while the model is loaded ends it as at any other time, and leaves nothing behind."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


@contextmanager
def _served(told: ServeSettings, settings: Mapping[str, Any]) -> Iterator[tuple[ServedEngine, list[str]]]:
    """The engine, in this process or in one of its own, and what became of its settings."""
    if told.in_process:
        from runtime.engine import Engine
        from runtime.server.local_engine import LocalEngine

        with Engine(**settings) as engine:
            yield LocalEngine(engine), engine.budget_lines()
    else:
        from runtime.server.remote.remote_engine import RemoteEngine

        with RemoteEngine(**settings, **_patience(told)) as remote:
            yield remote, remote.budget_lines()


def _patience(told: ServeSettings) -> dict[str, Any]:
    if told.hang_seconds is None:
        return {}
    from runtime.server.remote.supervisor import Patience

    return {"patience": Patience(hang=told.hang_seconds)}


def _say(options: argparse.Namespace, *lines: str) -> None:
    if not options.quiet:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
