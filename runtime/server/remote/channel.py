"""Channel: frames between two processes, one socket for each way, each with a thread of its own."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import zmq

from runtime.server.remote.messages import encode

__all__ = ["Channel"]

log = logging.getLogger("sgdsl.server")

MOST_MESSAGES = 4096
"""In one frame: a longer one would hold up what the other side could read already."""

POLL_MILLISECONDS = 50
"""Between two looks at whether a channel without another side was closed."""


class Channel:
    """What is said at about the same time goes into one frame. Safe to use from any thread, the collector's included.

    Args:
        token: the first part of every frame; one that comes without it is dropped.
        incoming, outgoing: addresses.
        binds: whether this side makes the addresses; the other side connects to them.
        take: is given every frame that comes, in the channel's own thread.
    """

    def __init__(
        self, token: bytes, incoming: str, outgoing: str, *, binds: bool, take: Callable[[bytes], None]
    ) -> None:
        self._token = token
        self._take = take
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        self._context = zmq.Context()
        self._pull = self._socket(zmq.PULL, incoming, binds)
        self._push = self._socket(zmq.PUSH, outgoing, binds)
        self._linger = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=work, name=f"sgdsl-channel-{work.__name__.strip('_')}", daemon=True)
            for work in (self._send, self._receive)
        ]
        for thread in self._threads:
            thread.start()

    def _socket(self, kind: int, address: str, binds: bool) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.set_hwm(0)  # what is waiting is bounded by the requests that are let in
        (socket.bind if binds else socket.connect)(address)
        return socket

    def say(self, message: Any) -> None:
        """Sends a message soon; takes no lock."""
        self._outbox.put(message)

    def close(self, linger_seconds: float = 0.0) -> None:
        """Ends both threads; what was said is sent if that takes no longer than so many seconds. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._linger = int(1000 * linger_seconds)
        self._outbox.put(None)
        self._threads[0].join()
        self._context.term()  # wakes the receiving thread, and waits for both sockets to be closed
        self._threads[1].join()

    def _send(self) -> None:
        try:
            is_open = True
            while is_open:
                messages = [self._outbox.get()]
                while len(messages) < MOST_MESSAGES and not self._outbox.empty():  # nobody else takes from it
                    messages.append(self._outbox.get())
                is_open = None not in messages
                self._put([message for message in messages if message is not None])
        finally:
            self._push.close(self._linger)

    def _put(self, messages: list[Any]) -> None:
        try:
            frame = encode(messages)
        except (TypeError, ValueError, OverflowError):  # a bug of ours; the others shall not suffer
            log.exception("a message could not be written")
            if len(messages) > 1:
                for message in messages:
                    self._put([message])
            return
        while messages and not self._sent(frame):
            if self._closed:  # nobody is there, and nobody is waited for
                return

    def _sent(self, frame: bytes) -> bool:
        """False where nobody is connected: yet, or any more."""
        try:
            self._push.send_multipart((self._token, frame), zmq.DONTWAIT)
        except zmq.Again:
            self._push.poll(POLL_MILLISECONDS, zmq.POLLOUT)
            return False
        return True

    def _receive(self) -> None:
        try:
            while True:
                parts = self._pull.recv_multipart()
                if len(parts) != 2 or not hmac.compare_digest(parts[0], self._token):
                    log.warning("a frame from somebody else was dropped")
                    continue
                try:
                    self._take(parts[1])
                except Exception:  # a bug of ours; the others shall not suffer
                    log.exception("a frame could not be taken")
        except zmq.ContextTerminated:
            pass
        finally:
            self._pull.close(0)
