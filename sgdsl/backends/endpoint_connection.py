"""EndpointConnection: one websocket to a server of sessions, and everybody who waits for an answer on it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from runtime.errors import InvalidParameter, RequestCancelled
from runtime.handle import Handle
from runtime.wire import messages as wire
from runtime.wire.errors import ProtocolError, error_of
from runtime.wire.packing import frames
from sgdsl.backends.api_key import veiled
from sgdsl.backends.base import Choose
from sgdsl.errors import EndpointError

__all__ = ["Address", "Call", "EndpointConnection"]

CLOSE_SECONDS = 1.0
"""How long a server may take to say goodbye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is and how it is spoken to.

    Attributes:
        url: http or https, without the path of the websocket.
        api_key: sent as a bearer token.
        connect_timeout: seconds until the server has said hello.
        heartbeat: seconds of silence after which the server is asked for a sign of life; it has half as many to answer.
    """

    url: str
    api_key: str | None = field(repr=False)
    connect_timeout: float
    heartbeat: float


@dataclass(eq=False, slots=True)
class Call:
    """Somebody waits.

    Attributes:
        number: the call's, on its connection. session: whose call it is; None where it is none's.
        handle: what they wait with.
        answer: the type of message that ends it well, and `read` what the handle is given of it.
        choose: of a score whose method only this side knows.
    """

    number: int
    session: int | None
    handle: Handle[Any]
    answer: type
    read: Callable[[Any], Any]
    choose: Choose | None = None


class EndpointConnection:
    """Connects at once. Everything sent before that is done waits; when the connection ends, so does every call.

    Messages are sent in the order in which `send` was given them. Every method may be called from any thread; `leave`
    also by the garbage collector.

    Args:
        loop: where it runs.
        address: of the server.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address) -> None:
        self.hello: Handle[wire.Hello] = Handle()
        self.error: Exception | None = None
        self._loop = loop
        self._address = address
        self._outbox: deque[wire.FromClient] = deque()
        self._calls: dict[int, Call] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._woken = False
        self._wake = asyncio.Event()
        self.ended = threading.Event()
        self._task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._start)

    def number(self) -> int:
        """A number for a session or a call that no other has."""
        return next(self._numbers)

    def send(self, messages: Iterable[wire.FromClient], calls: Sequence[Call] = ()) -> None:
        """Sends messages, soon; `calls` wait for answers to them."""
        with self._lock:
            if self.error is None:
                self._calls.update((call.number, call) for call in calls)
                self._outbox.extend(messages)
                calls = ()
        for call in calls:
            self._fail(call)
        self._awake()

    def cancel(self, session: int) -> None:
        """Ends what waits for a session's answers; the server is told."""
        with self._lock:
            calls = [call for call in self._calls.values() if call.session == session]
            for call in calls:
                del self._calls[call.number]
            if self.error is None:
                self._outbox.append(wire.Cancel(session))
        for call in calls:
            call.handle.fail(RequestCancelled("the session was cancelled"))
        self._awake()

    def forget(self, call: Call) -> None:
        """Nobody waits for this call any more."""
        with self._lock:
            self._calls.pop(call.number, None)

    def leave(self, session: int) -> None:
        """A session's last user is gone. Takes no lock: the garbage collector may call while one is held."""
        if self.error is None:
            self._outbox.extend((wire.Cancel(session), wire.Script(session, (wire.Close(),))))
            self._awake()

    def end(self, error: Exception, then: Callable[[], None]) -> None:
        """Ends the connection, and everything on it with `error`; `then` is called on the loop when that is done."""
        self._loop.call_soon_threadsafe(self._end, error, then)

    def _awake(self) -> None:
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake.set)

    # on the loop

    def _start(self) -> None:
        self._task = self._loop.create_task(self._run())

    def _end(self, error: Exception, then: Callable[[], None]) -> None:
        self._fall(error)
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(lambda _: then())

    async def _run(self) -> None:
        socket = None
        try:
            async with aiohttp.ClientSession() as client:
                try:
                    async with asyncio.timeout(self._address.connect_timeout):
                        socket = await self._connect(client)
                        self._greet(self._understood(await socket.receive()))
                    await self._talk(socket)
                except (Exception, asyncio.CancelledError) as error:
                    self._fall(self._reason(error))  # first of all: closing takes as long as the server likes
                if socket is not None:
                    await socket.close()
        finally:
            self._fall(EndpointError(f"{self._address.url}: the server ended the connection"))
            self.ended.set()

    def _reason(self, error: BaseException) -> Exception:
        reason = self._said(error)
        shown = veiled(reason, self._address.api_key)
        return reason if shown is reason else EndpointError(str(shown).removeprefix("EndpointError: "))

    def _said(self, error: BaseException) -> EndpointError:
        url, limit = self._address.url, self._address.connect_timeout
        if isinstance(error, EndpointError):
            return error
        if isinstance(error, TimeoutError) and not self.hello.done():
            return EndpointError(f"{url}: no answer within connect_timeout={limit:g} s")
        if isinstance(error, asyncio.CancelledError):
            return EndpointError(f"{url}: the connection was given up")
        failure = EndpointError(f"{url}: the connection failed: {str(error) or type(error).__name__}")
        failure.__cause__ = error
        return failure

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        both = [self._loop.create_task(work(socket)) for work in (self._read, self._write)]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                if task.done():
                    task.result()
            raise EndpointError(f"{self._address.url}: the server ended the connection")
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _connect(self, client: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        url, key = self._address.url, self._address.api_key
        try:
            return await client.ws_connect(
                url.rstrip("/") + wire.PATH,
                headers={} if key is None else {"Authorization": f"Bearer {key}"},
                heartbeat=self._address.heartbeat,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                max_msg_size=wire.MAX_FRAME_BYTES,
            )
        except aiohttp.WSServerHandshakeError as error:
            hint = ": api_key is missing or wrong" if error.status == 401 else ""
            raise EndpointError(f"{url}: the server refuses the connection (HTTP {error.status}){hint}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise EndpointError(f"{url}: cannot connect: {str(error) or type(error).__name__}") from error

    def _greet(self, messages: tuple[wire.FromServer, ...]) -> None:
        hello = messages[0] if messages else None
        if not isinstance(hello, wire.Hello):
            raise ProtocolError("the server did not say hello")
        if hello.version != wire.VERSION:
            raise ProtocolError(f"the server speaks version {hello.version} of the protocol, this is {wire.VERSION}")
        self.hello.finish(hello)
        for message in messages[1:]:
            self._take(message)

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._woken = False  # what is added from here on wakes us again
            for frame in frames([self._outbox.popleft() for _ in range(len(self._outbox))]):
                await socket.send_str(frame)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            frame = await socket.receive()
            if frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
                failure = socket.exception()
                if failure is not None:
                    raise failure
                return
            for message in self._understood(frame):
                self._take(message)

    def _understood(self, frame: aiohttp.WSMessage) -> tuple[wire.FromServer, ...]:
        if frame.type is aiohttp.WSMsgType.TEXT:
            return wire.read_from_server(frame.data)
        if frame.type is aiohttp.WSMsgType.ERROR:
            raise frame.data
        raise ProtocolError(f"a {frame.type.name.lower()} frame where a text frame belongs")

    def _take(self, message: wire.FromServer) -> None:
        if isinstance(message, wire.Refused):
            problem = error_of(message.problem)
            raise EndpointError(f"{self._address.url}: the server ended the connection: {problem}") from problem
        if isinstance(message, wire.Hello):
            raise ProtocolError("the server said hello twice")
        call = self._calls.get(message.call)
        if call is None:  # cancelled meanwhile
            return
        if isinstance(message, wire.Streamed) and call.answer is wire.Generated:
            call.handle.push(message.chunk)
        elif isinstance(message, wire.Rows) and call.choose is not None:
            self._choose(call, call.choose, message)
        elif isinstance(message, wire.Failed):
            self.forget(call)
            call.handle.fail(veiled(error_of(message.problem), self._address.api_key))
        elif isinstance(message, call.answer):
            self.forget(call)
            call.handle.finish(call.read(message))
        else:
            raise ProtocolError(f"{type(message).__name__} answers a call that waits for {call.answer.__name__}")

    def _choose(self, call: Call, choose: Choose, rows: wire.Rows) -> None:
        index: int | None = None
        try:
            index = choose(rows.logprobs)
            if type(index) is not int or not 0 <= index < len(rows.logprobs):
                raise InvalidParameter("choose", index, f"the position of one of {len(rows.logprobs)} choices")
        except Exception as error:  # the method is the user's
            index = None
            self.forget(call)
            call.handle.fail(error)
        self.send([wire.Chosen(call.number, index)])

    def _fall(self, error: Exception) -> None:
        """The connection is no more: everybody who waits is told. The first reason counts."""
        with self._lock:
            self.error = self.error or error
            calls, self._calls = list(self._calls.values()), {}
            self._outbox.clear()
        self.hello.fail(self.error)
        for call in calls:
            self._fail(call)

    def _fail(self, call: Call) -> None:
        call.handle.fail(self.error or EndpointError("the connection has ended"))
