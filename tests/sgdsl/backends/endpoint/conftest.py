"""A stand-in for the server of sessions: the protocol's other half, over an engine or a mock, on 127.0.0.1."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from aiohttp import WSMsgType, web

import sgdsl as sg
from runtime.engine import Engine
from runtime.errors import RequestCancelled
from runtime.handle import Chunk, Handle
from runtime.hint import Hint
from runtime.wire import messages as wire
from runtime.wire.errors import ProtocolError, problem_of
from runtime.wire.params import read_params, read_spec
from sgdsl.process import as_backend


class Served:
    """A session of a client: what it asked for, in order, on a session of the engine."""

    def __init__(self, peer: Peer, number: int, session: Any = None) -> None:
        self.peer = peer
        self.number = number
        self.session = session
        self.queue: deque[wire.Op] = deque()
        self.undecided: wire.Score | None = None
        self.error: BaseException | None = None
        self.never_begins = False

    def extend(self, ops: Sequence[wire.Op]) -> None:
        self.queue.extend(ops)
        for op in ops:
            if isinstance(op, wire.Fork):
                for number in op.sessions:
                    self.peer.sessions.setdefault(number, Served(self.peer, number))
        self.advance()

    def advance(self) -> None:
        while self.queue and self.undecided is None and not self.waits(self.queue[0]):
            op = self.queue.popleft()
            try:
                if self.error is not None and not isinstance(op, wire.Close):
                    raise self.error
                DO[type(op)](self, op)
            except Exception as error:
                self.fail(op, error)
        if self.session is not None:
            self.session.flush()
        for one in [one for one in self.peer.sessions.values() if one.queue and one.concatenates(self)]:
            one.advance()

    def waits(self, op: wire.Op) -> bool:
        """A fork for its beginning, a concatenation for what its forks were told before it."""
        if isinstance(op, wire.Concat):
            parts = [self.peer.sessions[number] for number in op.sessions]
            return any(part.queue or part.undecided is not None for part in parts if part.error is None)
        return self.session is None and not self.never_begins and not isinstance(op, wire.Open)

    def concatenates(self, part: Served) -> bool:
        return isinstance(self.queue[0], wire.Concat) and part.number in self.queue[0].sessions

    def fail(self, op: wire.Op, error: Exception) -> None:
        self.error = self.error or error
        if isinstance(op, wire.Fork):
            for number in op.sessions:
                child = self.peer.sessions[number]
                child.error, child.never_begins = child.error or error, True
                child.advance()
        call = getattr(op, "call", None)
        if call is not None:
            self.peer.say(wire.Failed(call, problem_of(error)))

    def cancel(self) -> None:
        self.error = self.error or RequestCancelled("cancelled")
        if self.undecided is not None:
            self.peer.say(wire.Failed(self.undecided.call, problem_of(self.error)))
            self.undecided = None
        if self.session is not None:
            self.session.cancel()
            self.advance()

    def give_up(self) -> None:
        if self.session is not None:
            self.session.cancel()
            self.session.close()

    # operations

    def open(self, op: wire.Open) -> None:
        self.session = self.peer.server.source.open(namespace=op.namespace, program=op.program)

    def append(self, op: wire.Append) -> None:
        self.session.append(op.content)

    def label(self, name: str | None) -> None:
        if hasattr(self.session, "label"):
            self.session.label(name)

    def generate(self, op: wire.Generate) -> None:
        self.label(op.name)
        params = read_params(op.params)
        handle = self.session.generate(params, top_logprobs=op.top_logprobs, logprob_start=op.logprob_start)
        self.follow(handle, op.call, lambda result: wire.Generated(op.call, result))

    def score(self, op: wire.Score) -> None:
        self.label(op.name)
        if op.choosing is not None:
            handle = self.scored(self.session, op, op.choosing)
            self.follow(handle, op.call, lambda result: wire.Scored(op.call, result))
            return
        (probe,) = self.session.fork(1)
        handle = self.scored(probe, op, lambda rows: 0)
        probe.close()
        self.undecided = op
        self.peer.undecided[op.call] = self
        self.follow(handle, op.call, lambda result: wire.Rows(op.call, result.basis))

    @staticmethod
    def scored(session: Any, op: wire.Score, choose: Callable[[Any], int]) -> Handle[Any]:
        handle: Handle[Any] = session.score(
            op.choices, choose, unconditional=op.unconditional, priority=op.priority
        )  # fmt: skip
        return handle

    def decide(self, index: int | None) -> None:
        op, self.undecided = self.undecided, None
        if op is None:
            return
        if index is None:
            self.fail(op, RequestCancelled("the client could not choose"))
        else:
            handle = self.scored(self.session, op, lambda rows: index)
            self.follow(handle, op.call, lambda result: wire.Scored(op.call, result))
        self.advance()

    def fork(self, op: wire.Fork) -> None:
        for number, session in zip(op.sessions, self.session.fork(len(op.sessions)), strict=True):
            child = self.peer.sessions[number]
            child.session = session
            if child.error is not None:
                session.cancel()
            child.advance()

    def concat(self, op: wire.Concat) -> None:
        parts = [self.peer.sessions[number] for number in op.sessions]
        if (failed := next((part.error for part in parts if part.error is not None), None)) is not None:
            raise failed
        handle = self.session.concat([part.session for part in parts])
        self.follow(handle, op.call, lambda count: wire.Counted(op.call, count))

    def tokens(self, op: wire.Tokens) -> None:
        self.follow(self.session.tokens(), op.call, lambda tokens: wire.Listed(op.call, tuple(tokens)))

    def mark(self, op: wire.Mark) -> None:
        self.follow(self.session.mark(), op.call, lambda count: wire.Counted(op.call, count))

    def truncate(self, op: wire.Truncate) -> None:
        self.session.truncate(op.num_tokens)

    def hint(self, op: Hint) -> None:
        self.peer.server.hints.append(op)
        if hasattr(self.session, "hint"):
            self.session.hint(op)

    def close(self, op: wire.Close) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()
        self.peer.closed(self)

    def follow(self, handle: Handle[Any], call: int, answer: Callable[[Any], wire.FromServer]) -> None:
        def arrived(chunk: Chunk | None) -> None:
            if chunk is not None:
                message: wire.FromServer = wire.Streamed(call, chunk)
            elif (error := handle.error()) is not None:
                message = wire.Failed(call, problem_of(error))
            else:
                message = answer(handle.result())
            self.peer.server.loop.call_soon_threadsafe(self.peer.say, message)

        handle.subscribe(arrived)


DO: dict[type, Callable[[Served, Any], None]] = {
    wire.Open: Served.open,
    wire.Append: Served.append,
    wire.Generate: Served.generate,
    wire.Score: Served.score,
    wire.Fork: Served.fork,
    wire.Concat: Served.concat,
    wire.Tokens: Served.tokens,
    wire.Mark: Served.mark,
    wire.Truncate: Served.truncate,
    wire.Close: Served.close,
    Hint: Served.hint,
}


class Peer:
    """One client's connection."""

    def __init__(self, server: EndpointServer, socket: web.WebSocketResponse) -> None:
        self.server = server
        self.socket = socket
        self.sessions: dict[int, Served] = {}
        self.undecided: dict[int, Served] = {}
        self.outbox: asyncio.Queue[wire.FromServer] = asyncio.Queue()

    def say(self, message: wire.FromServer) -> None:
        self.outbox.put_nowait(message)

    def closed(self, served: Served) -> None:
        self.sessions.pop(served.number, None)

    async def write(self) -> None:
        while True:
            messages = [await self.outbox.get()]
            while not self.outbox.empty():
                messages.append(self.outbox.get_nowait())
            await asyncio.sleep(self.server.delay)
            await self.socket.send_str(wire.write_frame(messages))

    async def serve(self) -> None:
        writer = asyncio.create_task(self.write())
        try:
            await self.socket.send_str(self.server.greeting or wire.write_frame([self.server.hello()]))
            async for frame in self.socket:
                if frame.type is WSMsgType.TEXT:
                    self.server.frames.append(frame.data)
                    if self.server.answer_all is not None:
                        await self.socket.send_str(self.server.answer_all)
                        continue
                    for message in wire.read_from_client(frame.data):
                        self.take(message)
        except ProtocolError as error:
            await self.socket.send_str(wire.write_frame([wire.Refused(problem_of(error))]))
        finally:
            writer.cancel()
            for served in self.sessions.values():
                served.give_up()

    def take(self, message: wire.FromClient) -> None:
        source = self.server.source
        if isinstance(message, wire.Script):
            self.sessions.setdefault(message.session, Served(self, message.session)).extend(message.ops)
        elif isinstance(message, wire.Cancel):
            if message.session in self.sessions:
                self.sessions[message.session].cancel()
        elif isinstance(message, wire.Chosen):
            self.undecided.pop(message.call).decide(message.index)
        elif isinstance(message, wire.Tokenize):
            self.say(wire.Tokenized(message.call, tuple(tuple(source.tokenize(text)) for text in message.texts)))
        elif isinstance(message, wire.CompileAhead):
            source.compile_ahead(read_spec(one) for one in message.constraints)
        else:
            last = min(message.first + message.count, source.engine.tokenizer.vocab_size)
            texts = tuple(source.token_text(token) for token in range(message.first, last))
            self.say(wire.TokenTexts(message.call, texts))


class EndpointServer:
    """Serves the sessions of an engine or of a mock, from a thread of its own, until `stop`.

    Attributes:
        delay: seconds every frame waits before it is sent.
        greeting: a frame to begin with in place of hello. answer_all: what to answer every frame with.
        deaf: pings are not answered.
        frames: everything clients sent.
    """

    def __init__(self, source: Any, key: str | None = None) -> None:
        self.source: Any = as_backend(source)
        self.key = key
        self.delay = 0.0
        self.deaf = False
        self.greeting: str | None = None
        self.answer_all: str | None = None
        self.frames: list[str] = []
        self.hints: list[Hint] = []
        self.peers: list[Peer] = []
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hello(self) -> wire.Hello:
        able = self.source.capabilities
        template = None
        if self.source.chat_template is not None:
            template = wire.Template(self.source.chat_template.source, self.source.engine.tokenizer.token_names)
        return wire.Hello(
            model="tiny", constraints=tuple(sorted(able.constraints)), labels=able.labels, concat=able.concat,
            hints=True, unconditional=able.unconditional, priority=able.priority, tokenizes=able.tokenizes,
            compiles_ahead=able.compiles_ahead, context_length=able.context_length, chat_template=template,
        )  # fmt: skip

    def start(self) -> EndpointServer:
        ready = threading.Event()
        self._ready = ready
        self._thread.start()
        assert ready.wait(10)
        return self

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get(wire.PATH, self._connect)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stopping.wait()
        self.cut()
        await runner.cleanup()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "wrong key", "type": "authentication_error"}}, status=401)
        socket = web.WebSocketResponse(autoping=not self.deaf, max_msg_size=wire.MAX_FRAME_BYTES)
        await socket.prepare(request)
        peer = Peer(self, socket)
        self.transport = request.transport
        self.peers.append(peer)
        await peer.serve()
        return socket

    def cut(self) -> None:
        """Cuts every connection, as a crash would."""
        for peer in self.peers:
            transport = peer.socket._req.transport if peer.socket._req is not None else None
            if transport is not None:
                transport.abort()

    def crash(self) -> None:
        self.loop.call_soon_threadsafe(self.cut)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., EndpointServer]]:
    servers: list[EndpointServer] = []

    def start(source: Any, key: str | None = None, **settings: Any) -> EndpointServer:
        server = EndpointServer(source, key)
        for name, value in settings.items():
            assert hasattr(server, name)
            setattr(server, name, value)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., sg.RuntimeEndpoint]]:
    endpoints: list[sg.RuntimeEndpoint] = []

    def made(server: EndpointServer, *args: Any, **settings: Any) -> sg.RuntimeEndpoint:
        endpoints.append(sg.RuntimeEndpoint(server.url, *args, **settings))
        return endpoints[-1]

    yield made
    for endpoint in endpoints:
        endpoint.close()


@pytest.fixture
def server(tiny_engine: Engine, serve: Callable[..., EndpointServer]) -> EndpointServer:
    return serve(tiny_engine)


@pytest.fixture
def endpoint(server: EndpointServer, connect: Callable[..., sg.RuntimeEndpoint]) -> sg.RuntimeEndpoint:
    return connect(server)
