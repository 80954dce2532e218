"""Lifecycle: the server comes up, and goes down without cutting anybody off who can still be served."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from aiohttp import web

from runtime.errors import ConfigError
from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.connections import CONNECTIONS
from runtime.server.entrance import Entrance
from runtime.server.keys import RUNNING
from runtime.server.open_files import OpenFiles
from runtime.server.peer_log import PeerLog
from runtime.server.programs.runner import ProgramRunner
from runtime.server.served_engine import ServedEngine
from runtime.server.sessions.keys import GREETING

__all__ = ["serve", "serve_until"]

log = logging.getLogger("sgdsl.server")

CLOSE_SECONDS = 2.0


def serve(
    engine: ServedEngine, config: ServerConfig, ready: Callable[[str], None], programs: ProgramRunner | None = None
) -> None:
    """Serves until SIGTERM or SIGINT, then drains. Blocks.

    A second signal ends the drain: whoever is still served is told that it was cut short. A third ends it at once.

    The process may then have as many files open as its hard limit lets it.

    Args:
        ready: told the URL when requests are taken.
        programs: as `make_app`.

    Raises:
        ConfigError: host and port cannot be had, or hardly a file may be open.
    """
    files = OpenFiles.raised()
    shortage = files.shortage(config.max_requests)
    if shortage is not None:
        log.warning("%s", shortage)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(engine, config, ready, programs, files))


async def _serve(
    engine: ServedEngine,
    config: ServerConfig,
    ready: Callable[[str], None],
    programs: ProgramRunner | None,
    files: OpenFiles,
) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop, hurry, number)
    try:
        await serve_until(stop, engine, config, ready, programs, hurry, files)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _on_signal(stop: asyncio.Event, hurry: asyncio.Event, number: int) -> None:
    name = signal.Signals(number).name
    if hurry.is_set():
        raise KeyboardInterrupt
    if stop.is_set():
        log.warning("%s again: what still runs is cancelled", name)
        hurry.set()
        return
    log.info("%s: draining", name)
    stop.set()


async def serve_until(
    stop: asyncio.Event,
    engine: ServedEngine,
    config: ServerConfig,
    ready: Callable[[str], None],
    programs: ProgramRunner | None = None,
    hurry: asyncio.Event | None = None,
    files: OpenFiles | None = None,
) -> None:
    """Serves until `stop` is set, then takes no new requests, and lets running ones go on for `drain_seconds`.

    Meanwhile it listens on: who comes is told 503, which a closed port would not say, and `/health` is red.

    Args:
        ready, programs: as `serve`.
        hurry: once it is set, nobody is waited for any more.
        files: how many connections there may be; None for no limit.

    Raises:
        ConfigError: host and port cannot be had.
    """
    app = make_app(engine, config, programs)
    runner = web.AppRunner(
        app, handler_cancellation=True, shutdown_timeout=CLOSE_SECONDS, access_log=None, logger=PeerLog(log)
    )
    await runner.setup()
    try:
        await app[GREETING].prepare()
        site = Entrance(runner, config.host, config.port, files or OpenFiles(None))
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"host={config.host!r} port={config.port}: {error.strerror or error}") from error
        ready(_url(runner, config))
        await _stopped(stop, app, runner)
        began = asyncio.get_running_loop().time()
        cancelled = await app[RUNNING].drain(config.drain_seconds, hurry)
        if cancelled:
            seconds = asyncio.get_running_loop().time() - began
            log.warning("%d requests were cancelled after %.3g s of draining", cancelled, seconds)
    finally:
        await runner.cleanup()


async def _stopped(stop: asyncio.Event, app: web.Application, runner: web.AppRunner) -> None:
    """Waits for the order; meanwhile connections that nobody uses are closed."""
    if runner.server is None:
        raise RuntimeError("the runner was not set up")
    sweeping = asyncio.create_task(app[CONNECTIONS].sweep(runner.server))
    try:
        await stop.wait()
    finally:
        sweeping.cancel()


def _url(runner: web.AppRunner, config: ServerConfig) -> str:
    port = runner.addresses[0][1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
