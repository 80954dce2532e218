"""`python -m benchmarks.serving.mock_server {sgdsl,bare} {asyncio,uvloop}`: a server to stream from, until SIGTERM.

`sgdsl` is this project's server over an engine without a model; `bare` is aiohttp alone: it answers every request with
the bytes of such events, one write for each, and reads of the request only how many.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable

import msgspec
from aiohttp import web

from benchmarks.serving.mock_engine import WORD, MockEngine
from runtime.server.config import ServerConfig
from runtime.server.lifecycle import serve_until

__all__ = ["EVENT", "KINDS", "LOOPS", "bare"]

HOST = "127.0.0.1"
BACKLOG = 1024
EVENT = (
    b'data: {"id":"cmpl-00000000000000000000000000000000","object":"text_completion","created":1764370000,'
    b'"model":"mock","system_fingerprint":"fp_0000000000","choices":[{"index":0,"text":"' + WORD.encode() + b'",'
    b'"logprobs":null,"finish_reason":null}]}\n\n'
)


async def _stream(request: web.Request) -> web.StreamResponse:
    count = msgspec.json.decode(await request.read())["max_tokens"]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for _ in range(count):
        await response.write(EVENT)
        await asyncio.sleep(0)  # as long as it takes the others to write theirs
    await response.write_eof()
    return response


def bare() -> web.Application:
    """Nothing but aiohttp."""
    app = web.Application()
    app.add_routes([web.post("/v1/completions", _stream)])
    return app


async def _serve_bare(stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    runner = web.AppRunner(bare(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, backlog=BACKLOG).start()
    ready(f"http://{HOST}:{runner.addresses[0][1]}")
    await stop.wait()
    await runner.cleanup()


async def _serve_sgdsl(stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    with MockEngine() as engine:
        await serve_until(stop, engine, ServerConfig(host=HOST, port=0), ready)


KINDS = {"sgdsl": _serve_sgdsl, "bare": _serve_bare}
LOOPS = ("asyncio", "uvloop")


async def _until_told(kind: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await KINDS[kind](stop, lambda url: print(url, flush=True))


def main() -> None:
    """Prints its URL when it serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("loop", choices=LOOPS)
    options = parser.parse_args()
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if options.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_until_told(options.kind))


if __name__ == "__main__":
    main()
