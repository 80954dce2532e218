"""Serve: `sgdsl serve`. The engine behind HTTP, for OpenAI's clients and our own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sgdsl.cli import logs
from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.serve_options import config_fields
from sgdsl.cli.settings import engine_settings

if TYPE_CHECKING:
    from runtime.server.config import ServerConfig
    from runtime.server.served_engine import ServedEngine

__all__ = ["serve"]


def serve(options: argparse.Namespace) -> int:
    """Serves until it is told to stop; returns the exit code.

    Raises:
        CommandError: it cannot begin.
    """
    logs.set_up(verbose=options.verbose, quiet=options.quiet, as_json=options.log_json)
    if options.name is not None and options.model is not None:
        raise UsageError(f"MODEL {options.name} and --model {options.model} are given together: one is allowed")
    settings = engine_settings(options.name or options.model, options.settings, options.config)
    from runtime.errors import ConfigError, EngineError
    from runtime.server.lifecycle import serve as serve_engine
    from sgdsl.served.runner import GraphRunner

    config = _config(options)
    try:
        with _served(options.in_process, settings) as (engine, lines):
            _say(options, *lines)
            serve_engine(
                engine, config, lambda url: _say(options, f"sgdsl: {engine.model_name} at {url}"), GraphRunner(engine)
            )
    except ConfigError as error:
        raise UsageError(str(error)) from error
    except EngineError as error:
        raise CommandError(str(error)) from error
    return 0


@contextmanager
def _served(in_process: bool, settings: Mapping[str, Any]) -> Iterator[tuple[ServedEngine, list[str]]]:
    """The engine, in this process or in one of its own, and what became of its settings."""
    if in_process:
        from runtime.engine import Engine
        from runtime.server.local_engine import LocalEngine

        with Engine(**settings) as engine:
            yield LocalEngine(engine), engine.budget_lines()
    else:
        from runtime.server.remote.remote_engine import RemoteEngine

        with RemoteEngine(**settings) as remote:
            yield remote, remote.budget_lines()


def _config(options: argparse.Namespace) -> ServerConfig:
    from runtime.errors import ConfigError
    from runtime.server.config import ServerConfig

    try:
        return ServerConfig(
            host=options.host,
            port=options.port,
            served_model_name=options.served_model_name,
            max_requests=options.max_requests,
            max_body_bytes=options.max_body_mib << 20,
            drain_seconds=options.drain_seconds,
            **config_fields(options),
        )
    except ConfigError as error:
        raise UsageError(f"--{error}") from error


def _say(options: argparse.Namespace, *lines: str) -> None:
    if not options.quiet:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
