"""Streams: many streamed answers at once, counted as they come, and what the server spent on them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
import psutil

__all__ = ["Count", "Streamed", "mock_server", "stream"]

STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Streamed:
    """What a round of streams came to.

    Attributes:
        tokens: that came.
        pieces: reads that they came in.
        seconds: from the first request to the last byte.
        server_seconds: of processor time in the server's process.
    """

    tokens: int
    pieces: int
    seconds: float
    server_seconds: float

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds

    @property
    def microseconds(self) -> float:
        """Processor time of the server's process, a token."""
        return 1e6 * self.server_seconds / self.tokens


class Count:
    """Counts the tokens of a stream of which each is one event, wherever it is cut."""

    def __init__(self, mark: bytes = b'"finish_reason":null') -> None:
        self._mark = mark
        self._rest = b""
        self.tokens = 0
        self.pieces = 0

    def add(self, piece: bytes) -> None:
        """What was read next."""
        self.pieces += 1
        whole = self._rest + piece
        self.tokens += whole.count(self._mark)
        self._rest = whole[-len(self._mark) + 1 :]


async def stream(
    url: str, process: psutil.Process, num_streams: int, num_tokens: int, more: Mapping[str, Any] = MappingProxyType({})
) -> Streamed:
    """Streams from `/v1/completions`, all at once.

    Args:
        process: the server's.
        more: fields of the requests.

    Raises:
        RuntimeError: an answer is an error, or fewer tokens came than were asked for.
    """
    counts = [Count() for _ in range(num_streams)]
    body = {"model": None, "prompt": "Write:", "max_tokens": num_tokens, "stream": True, **more}
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:
        begun, spent = time.monotonic(), _processor(process)
        await asyncio.gather(*(_one(http, {**body, "prompt": f"{n}: "}, count) for n, count in enumerate(counts)))
        seconds, spent = time.monotonic() - begun, _processor(process) - spent
    tokens = sum(count.tokens for count in counts)
    if tokens != num_streams * num_tokens:
        raise RuntimeError(f"{tokens} tokens came of {num_streams * num_tokens}")
    return Streamed(tokens, sum(count.pieces for count in counts), seconds, spent)


async def _one(http: aiohttp.ClientSession, body: dict[str, Any], count: Count) -> None:
    async with http.post("/v1/completions", json=body, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {await answer.text()}")
        async for piece in answer.content.iter_any():
            count.add(piece)


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def mock_server(kind: str, loop: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server of `benchmarks.serving.mock_server` in a process of its own: its URL and the process."""
    command = [sys.executable, "-m", "benchmarks.serving.mock_server", kind, loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        try:
            url = popen.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"the mock server ({kind}, {loop}) does not start")
            yield url, psutil.Process(popen.pid)
        finally:
            popen.terminate()
            popen.wait(STOP_SECONDS)
