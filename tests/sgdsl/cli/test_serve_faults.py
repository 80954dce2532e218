"""A real `sgdsl serve` whose engine is killed or stopped, and which is told to stop itself, in mid-stream."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest

import sgdsl as sg
from benchmarks.tiny_folder import tiny_folder

ROOT = Path(sg.__file__).parent.parent
SETTINGS = ("max_total_tokens=65536", "attention=torch", "weight_format=float32-torch", "audit=step")
SHORT: dict[str, Any] = {"prompt": "the", "max_tokens": 4, "temperature": 0, "ignore_eos": True}
ENDLESS: dict[str, Any] = {**SHORT, "max_tokens": 900, "stream": True}
START_SECONDS = 120.0
HELD = ("request", "session", "in_transfer")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Server:
    """The process, and a client of it."""

    def __init__(self, process: subprocess.Popen[str], log: Path, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.client = client
        self._log = log
        self.url = ""

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def come_up(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while " at http://" not in self.log:
                assert self.process.poll() is None, self.log
                await asyncio.sleep(0.05)
        self.url = self.log.rpartition(" at ")[2].split()[0]

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.client.get(self.url + path) as response:
            return response.status, await response.json()

    async def post(self, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        async with self.client.post(f"{self.url}/v1/completions", json=body) as response:
            return response.status, await response.json(), dict(response.headers)

    async def stream(self, place: int, begun: Callable[[], None], tokens: int = 900) -> list[str]:
        """All events of a stream; `begun` is called at its first."""
        body = {**ENDLESS, "prompt": f"{place}: the theatre", "max_tokens": tokens}
        events: list[str] = []
        async with self.client.post(f"{self.url}/v1/completions", json=body) as response:
            assert response.status == 200
            async for line in response.content:
                if line.startswith(b"data: "):
                    events.append(line[6:].decode().strip())
                    if len(events) == 1:
                        begun()
        return events

    async def streams(self, count: int, tokens: int = 900) -> list[asyncio.Task[list[str]]]:
        """So many streams, each of which has begun."""
        left = count
        all_begun = asyncio.Event()

        def begun() -> None:
            nonlocal left
            left -= 1
            if not left:
                all_begun.set()

        tasks = [asyncio.create_task(self.stream(place, begun, tokens)) for place in range(count)]
        waiting = asyncio.create_task(all_begun.wait())
        async with asyncio.timeout(120):
            await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        assert all_begun.is_set()
        return tasks

    async def engine_pid(self) -> int:
        status, info = await self.get("/server_info")
        assert status == 200
        return int(info["engine_pid"])

    async def until_ready(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while (await self.get("/health_generate"))[0] != 200:
                await asyncio.sleep(0.1)

    def holds(self) -> tuple[int, int]:
        """Open files and threads of the server's process."""
        own = Path(f"/proc/{self.process.pid}")
        return len(list((own / "fd").iterdir())), len(list((own / "task").iterdir()))

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 60)


MakeServer: TypeAlias = Callable[..., Awaitable[Server]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    tiny_folder(made)
    return made


@pytest.fixture
async def serve(folder: Path, tmp_path: Path) -> AsyncIterator[MakeServer]:
    temporary = tmp_path / "s"
    temporary.mkdir()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=120)
    begun: list[Server] = []
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:

        async def start(*words: object, comes_up: bool = True) -> Server:
            command = [sys.executable, "-P", "-m", "sgdsl.cli", "serve", str(folder), "--port", "0", "-v"]
            settings = [word for setting in SETTINGS for word in ("--set", setting)]
            log = tmp_path / f"server-{len(begun)}.log"
            with log.open("w") as said:
                process = subprocess.Popen(
                    [*command, *settings, *map(str, words)],
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
                )  # fmt: skip
            begun.append(Server(process, log, client))
            if comes_up:
                await begun[-1].come_up()
            return begun[-1]

        yield start
    for server in begun:
        server.process.kill()
        server.process.wait()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_cut(events: list[str], status_code: str) -> None:
    """Tokens came, then one event with an error, and the end."""
    assert events[-1] == "[DONE]"
    *tokens, last = [json.loads(event) for event in events[:-1]]
    assert tokens
    assert all("error" not in event for event in tokens)
    assert last["error"]["code"] == status_code


async def _settled(server: Server, holds: tuple[int, int]) -> None:
    """Nothing is held by anybody, in the engine, the server or its process."""
    async with asyncio.timeout(30):
        while True:
            _, info = await server.get("/server_info")
            ledger = info["stats"]["ledger"]
            found = [info["requests_in_work"], info["sessions"], *(ledger[owner] for owner in HELD)]
            now = server.holds()
            if not any(found) and now[0] <= holds[0] and now[1] <= holds[1]:
                return
            await asyncio.sleep(0.1)


async def test_killed_under_64_streams_each_ends_with_an_error_and_the_next_request_is_served(
    serve: MakeServer, tmp_path: Path
) -> None:
    server = await serve()
    expected = (await server.post(SHORT))[1]["choices"][0]["text"]
    pid = await server.engine_pid()
    holds = server.holds()
    streams = await server.streams(64)
    os.kill(pid, signal.SIGKILL)
    for events in await asyncio.gather(*streams):
        assert_cut(events, "engine_unavailable")
    status, body, headers = await server.post(SHORT)
    assert (status, body["error"]["code"]) == (503, "engine_unavailable")
    assert int(headers["Retry-After"]) >= 1
    assert (await server.get("/health_generate"))[0] == 503
    assert (await server.get("/health"))[0] == 200
    await server.until_ready()
    status, body, _ = await server.post(SHORT)
    assert (status, body["choices"][0]["text"]) == (200, expected)
    assert not is_alive(pid)
    await _settled(server, holds)
    assert list((tmp_path / "s").glob("sgdsl-*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_in_mid_stream_it_drains_and_turns_new_requests_away(
    serve: MakeServer, number: signal.Signals
) -> None:
    server = await serve("--drain-seconds", 120)
    pid = await server.engine_pid()
    streams = await server.streams(8, tokens=950)
    server.process.send_signal(number)
    async with asyncio.timeout(30):
        while (await server.get("/health"))[0] == 200:
            await asyncio.sleep(0.01)
    assert (await server.get("/health_generate"))[0] == 503
    status, body, headers = await server.post(SHORT)
    assert (status, body["error"]["code"]) == (503, "stopping")
    assert int(headers["Retry-After"]) >= 1
    assert not any(stream.done() for stream in streams)  # all that was seen in mid-stream
    for events in await asyncio.gather(*streams):
        assert events[-1] == "[DONE]"
        assert json.loads(events[-2])["choices"][0]["finish_reason"] == "length"
    assert await server.ended() == 0
    assert not is_alive(pid)


@pytest.mark.parametrize(("seconds", "signals"), [(0.1, 1), (120, 2)])
async def test_whose_time_is_up_is_told_so_and_the_server_ends_well(
    serve: MakeServer, seconds: float, signals: int
) -> None:
    """After the time for draining, and at a second signal."""
    server = await serve("--drain-seconds", seconds)
    pid = await server.engine_pid()
    streams = await server.streams(8)
    server.process.send_signal(signal.SIGTERM)
    if signals > 1:
        while (await server.get("/health"))[0] == 200:
            await asyncio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
    for events in await asyncio.gather(*streams):
        assert_cut(events, "stopping")
    assert await server.ended() == 0
    assert "8 requests were cancelled" in server.log
    assert not is_alive(pid)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_told_to_stop_while_it_loads_it_leaves_nothing_behind(
    serve: MakeServer, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    server = await serve(comes_up=False)
    sockets = tmp_path / "s"
    async with asyncio.timeout(START_SECONDS):
        while not list(sockets.glob("sgdsl-*/orders")):
            await asyncio.sleep(0.01)
    server.process.send_signal(number)
    assert await server.ended() == code
    assert list(sockets.iterdir()) == []
    assert " at http://" not in server.log
    assert "Traceback" not in server.log


async def test_a_stopped_engine_is_found_out_killed_and_replaced(serve: MakeServer) -> None:
    """As one that hangs in a step: it lives, and says nothing."""
    server = await serve("--hang-seconds", 2)
    pid = await server.engine_pid()
    streams = await server.streams(4)
    os.kill(pid, signal.SIGSTOP)
    waiting = asyncio.create_task(server.post(SHORT))
    for events in await asyncio.gather(*streams):
        assert_cut(events, "engine_unavailable")
        assert "no sign of life for 2 s" in events[-2]
    status, body, headers = await waiting
    assert (status, body["error"]["code"]) == (503, "engine_unavailable")
    assert int(headers["Retry-After"]) >= 1
    assert (await server.get("/health_generate"))[0] == 503
    await server.until_ready()
    assert await server.engine_pid() != pid
    assert not is_alive(pid)
    assert (await server.post(SHORT))[0] == 200
