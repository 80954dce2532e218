"""Servers of sessions on 127.0.0.1: the real one, over an engine or a mock, and one that misbehaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

import pytest
from aiohttp import WSMsgType, web

import sgdsl as sg
from runtime.engine import Engine
from runtime.handle import Handle
from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.local_engine import LocalEngine
from runtime.server.sessions.greeting import Greeting
from runtime.server.sessions.keys import GREETING, PEERS
from runtime.server.sessions.peer import Peer
from runtime.wire import messages as wire
from sgdsl.process import as_backend

HELLO = wire.Hello(model="tiny", labels=True, concat=True, hints=True, unconditional=True, priority=True)


class MockTokenizer:
    """A mock's tokens."""

    def __init__(self, mock: Any) -> None:
        self._mock = mock

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._mock.tokenize(text) for text in texts]


class MockEngine:
    """A mock as the server sees engines."""

    model_name = "tiny"
    chat_template = None
    failure = None
    context_length = 2048

    def __init__(self, mock: Any) -> None:
        self._mock = mock
        self.tokenizer = MockTokenizer(mock)

    def open(self, *, namespace: str = "", program: str = "") -> Any:
        return self._mock.open(namespace=namespace, program=program)

    def remember(self, texts: Iterable[str]) -> None:
        return None

    def compile_ahead(self, constraints: Iterable[Any]) -> None:
        return None

    def server_info(self) -> Handle[dict[str, Any]]:
        raise NotImplementedError


class MockGreeting(Greeting):
    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def hello(self) -> wire.Hello:
        able = self._backend.capabilities
        return wire.Hello(
            model="tiny", constraints=tuple(sorted(able.constraints)), labels=able.labels, concat=able.concat,
            hints=able.hints, unconditional=able.unconditional, priority=able.priority, tokenizes=able.tokenizes,
            compiles_ahead=able.compiles_ahead, context_length=able.context_length,
        )  # fmt: skip


class Peers(set[Peer]):
    """Those connected, and in `seen` all that ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Peer] = []

    def add(self, peer: Peer) -> None:
        super().add(peer)
        self.seen.append(peer)


class ThreadServer:
    """Serves an application from a thread of its own, until `stop`. A port that it once had it has again."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def app(self) -> web.Application:
        raise NotImplementedError

    def start(self) -> ThreadServer:
        self._thread.start()
        self._call(self._start())
        return self

    async def _start(self) -> None:
        self._runner = web.AppRunner(await self.app(), shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def crash(self) -> None:
        """Cuts every connection."""
        self._call(self._cut())

    async def _cut(self) -> None:
        assert self._runner is not None
        assert self._runner.server is not None
        for one in self._runner.server.connections:
            if one.transport is not None:
                one.transport.abort()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._call(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._cut()
        await self._runner.cleanup()


class RealServer(ThreadServer):
    """What `sgdsl serve` runs.

    Attributes:
        frames: everything clients sent. peers: of everybody who ever connected.
    """

    def __init__(self, source: Any, key: str | None, frames: list[str]) -> None:
        super().__init__()
        self._source = source
        self._keys = () if key is None else (key,)
        self._peers = Peers()
        self.frames = frames

    @property
    def peers(self) -> list[Peer]:
        return self._peers.seen

    async def app(self) -> web.Application:
        is_engine = isinstance(self._source, Engine)
        backend: Any = None if is_engine else as_backend(self._source)
        engine: Any = LocalEngine(self._source) if is_engine else MockEngine(backend)
        app = make_app(engine, ServerConfig(api_keys=self._keys))
        app[PEERS] = self._peers
        if not is_engine:
            app[GREETING] = MockGreeting(backend)
        return app


class FaultyServer(ThreadServer):
    """Says `greeting` to everybody, then `answer_all` to every frame, and nothing where that is None.

    Attributes:
        deaf: pings are not answered. delay: seconds before an answer.
    """

    def __init__(
        self, greeting: str | None = None, answer_all: str | None = None, deaf: bool = False, delay: float = 0.0
    ) -> None:
        super().__init__()
        self._greeting = greeting or wire.write_frame([HELLO])
        self._answer_all = answer_all
        self._delay = delay
        self._deaf = deaf

    async def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(wire.PATH, self._connect)
        return app

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=not self._deaf)
        await socket.prepare(request)
        await socket.send_str(self._greeting)
        async for frame in socket:
            if frame.type is WSMsgType.TEXT and self._answer_all is not None:
                await asyncio.sleep(self._delay)
                await socket.send_str(self._answer_all)
        return socket


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ThreadServer]]:
    """Starts the real server, or with faults the other one."""
    servers: list[ThreadServer] = []
    frames: list[str] = []
    read = wire.read_from_client

    def reading(frame: str) -> tuple[wire.FromClient, ...]:
        frames.append(frame)
        return read(frame)

    monkeypatch.setattr(wire, "read_from_client", reading)

    def start(source: Any = None, key: str | None = None, **faults: Any) -> ThreadServer:
        servers.append(FaultyServer(**faults) if faults else RealServer(source, key, frames))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., sg.RuntimeEndpoint]]:
    endpoints: list[sg.RuntimeEndpoint] = []

    def made(server: ThreadServer, *args: Any, **settings: Any) -> sg.RuntimeEndpoint:
        endpoints.append(sg.RuntimeEndpoint(server.url, *args, **settings))
        return endpoints[-1]

    yield made
    for endpoint in endpoints:
        endpoint.close()


@pytest.fixture
def server(tiny_engine: Engine, serve: Callable[..., RealServer]) -> RealServer:
    return serve(tiny_engine)


@pytest.fixture
def endpoint(server: RealServer, connect: Callable[..., sg.RuntimeEndpoint]) -> sg.RuntimeEndpoint:
    return connect(server)
