"""Socket: a websocket, and the peer behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from aiohttp import WSCloseCode, WSMsgType, web

from runtime.server.access.door import DOOR
from runtime.server.access.tenant import TENANT
from runtime.server.errors import ApiError
from runtime.server.keys import CONFIG, ENGINE, RUNNING
from runtime.server.sessions.keys import GREETING, PEERS
from runtime.server.sessions.outbox import Outbox, OutboxFull
from runtime.server.sessions.peer import Peer, is_heavy
from runtime.server.trail.spans import SPANS
from runtime.wire import messages as wire
from runtime.wire.errors import ProtocolError, problem_of
from runtime.wire.packing import frames

__all__ = ["connect"]

log = logging.getLogger("sgdsl.server")

HEAVY_FRAME = 32768
"""Characters of a frame that is read in a thread."""
CLOSE_SECONDS = 2.0


async def connect(request: web.Request) -> web.StreamResponse:
    """Serves one client's sessions until either side ends the connection."""
    request.app[RUNNING].check_open()
    hello = await request.app[GREETING].hello()  # before the handshake: who cannot be served is told by HTTP
    limits = request.app[CONFIG].sessions
    socket = web.WebSocketResponse(
        heartbeat=limits.heartbeat_seconds, max_msg_size=wire.MAX_FRAME_BYTES, timeout=CLOSE_SECONDS
    )
    await socket.prepare(request)
    outbox = Outbox(asyncio.get_running_loop(), limits.max_outbox_bytes)
    peer = Peer(request.app[ENGINE], outbox.put, limits, request[TENANT].cache_namespace, request.app.get(SPANS))
    request.app[PEERS].add(peer)
    try:
        outbox.put(hello)
        await _Connection(socket, peer, outbox, limits.stall_seconds, request).serve()
    finally:
        request.app[PEERS].discard(peer)
        outbox.close()
        peer.close()
        if request.transport is not None and not socket.closed:
            request.transport.abort()
    return socket


class _Connection:
    """Reads and writes one websocket.

    Args:
        stall_seconds: how long a frame may take to be sent.
        request: that began it.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        peer: Peer,
        outbox: Outbox,
        stall_seconds: float,
        request: web.Request,
    ) -> None:
        self._running = request.app[RUNNING]
        self._owner = request[TENANT].name
        self._door = request.app[DOOR]
        self._authorization = request.headers.get("Authorization", "")
        self._known_at = self._door.version
        self._in_work: ExitStack | None = None
        self._end = asyncio.Event()
        self._socket = socket
        self._peer = peer
        self._outbox = outbox
        self._stall_seconds = stall_seconds
        self._working: asyncio.Future[None] | None = None

    async def serve(self) -> None:
        """Until the end."""
        tasks = [asyncio.create_task(work) for work in (self._read(), self._write(), self._ended())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        except ProtocolError as error:
            await self._refuse(error)
        except (OutboxFull, TimeoutError) as error:
            log.warning("a client of sessions is cut off: %s", error or f"nothing taken for {self._stall_seconds:g} s")
        except (ConnectionError, RuntimeError):
            pass  # the client has gone in the middle of something
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._leave_work()
            if self._working is not None:  # a thread that is still busy with the peer
                await asyncio.wait([self._working])
                self._working.exception()

    async def _ended(self) -> None:
        """The server ends it."""
        await self._end.wait()
        raise ProtocolError("the server ends everything")

    async def _read(self) -> None:
        async for frame in self._socket:
            self._check_key()
            if frame.type is WSMsgType.TEXT:
                await self._take(frame.data)
                self._enter_work()
            elif frame.type is WSMsgType.BINARY:
                raise ProtocolError("a binary frame where a text frame belongs")
            await self._outbox.room()

    def _check_key(self) -> None:
        """A key that was taken out of the file since opens nothing more, here either.

        Raises:
            ProtocolError: it was.
        """
        self._door.refresh()
        if self._known_at != self._door.version:
            tenant = self._door.tenant_of(self._authorization)
            if tenant is None or tenant.name != self._owner:
                raise ProtocolError("the key is not valid any more")
            self._known_at = self._door.version

    async def _take(self, frame: str) -> None:
        if len(frame) > HEAVY_FRAME:
            await self._in_thread(lambda: self._peer.take(wire.read_from_client(frame)))
            return
        messages = wire.read_from_client(frame)
        if is_heavy(messages):
            await self._in_thread(lambda: self._peer.take(messages))
        else:
            self._peer.take(messages)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """What takes long; it goes on to its end whatever becomes of the connection."""
        self._working = asyncio.ensure_future(asyncio.to_thread(work))
        await asyncio.shield(self._working)
        self._working = None

    def _enter_work(self) -> None:
        """As long as it has sessions, a connection is work in progress: it is waited for when the server stops.

        Raises:
            ProtocolError: the server takes no more work.
        """
        if not self._peer.sessions:
            self._leave_work()
        elif self._in_work is None:
            work = ExitStack()
            try:
                work.enter_context(self._running.entered("", self._end.set, self._owner))
            except ApiError as error:
                raise ProtocolError(str(error)) from error
            self._in_work = work

    def _leave_work(self) -> None:
        work, self._in_work = self._in_work, None
        if work is not None:
            work.close()

    async def _write(self) -> None:
        while True:
            await self._send(await self._outbox.take())
            self._outbox.taken()

    async def _send(self, messages: Sequence[wire.FromServer]) -> None:
        for frame in frames(messages):
            async with asyncio.timeout(self._stall_seconds):
                await self._socket.send_str(frame)

    async def _refuse(self, error: ProtocolError) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.send_str(wire.write_frame([wire.Refused(problem_of(error))]))
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION)
        except (ConnectionError, RuntimeError, TimeoutError):
            pass  # it does not want to hear it
