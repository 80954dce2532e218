"""The wall clock jumps, by NTP or by hand; no limit goes by it."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest

import runtime
from runtime.server.keys import CONFIG
from runtime.server.sessions.keys import HELD

PATH = "/v1/completions"
DAY = 86_400.0
ENDLESS: dict[str, Any] = {"prompt": "the", "temperature": 0, "ignore_eos": True, "stream": True}

FOR_PEOPLE = {
    "runtime/chat_template.py",  # the date that templates show
    "runtime/server/app.py",  # `created` of the model
    "runtime/server/openai/responses/handlers.py",  # `created_at` of a response
    "runtime/server/openai/serving.py",  # `created` of an answer
    "runtime/server/trail/log_line.py",  # the time of a line
    "sgdsl/record/sink.py",  # when a record began
    "sgdsl/tracing.py",  # where spans lie among those of other programs
}


class WallClock:
    """Says a time that can be set; the other clocks go on as they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        own, own_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: own() + self.ahead)
        monkeypatch.setattr(time, "time_ns", lambda: own_ns() + int(self.ahead * 1e9))


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


async def streamed(client: Any, wall: WallClock, ahead: float, **more: Any) -> str:
    """A stream's text, whose clock jumps after its first event."""
    async with asyncio.timeout(60), client.post(PATH, json={**ENDLESS, **more}) as response:
        assert response.status == 200
        await response.content.readline()
        wall.ahead = ahead
        text: str = await response.text()
    return text


@pytest.mark.parametrize("ahead", [DAY, -DAY])
async def test_a_jump_ends_no_request_before_its_time(client: Any, wall: WallClock, ahead: float) -> None:
    text = await streamed(client, wall, ahead, max_tokens=60, timeout=50)
    assert text.count('"text":') >= 58
    assert '"finish_reason":"length"' in text
    assert "error" not in text


async def test_a_jump_back_gives_no_request_more_time(client: Any, wall: WallClock) -> None:
    """Without the timeout it goes on to the end of the context, which is thousands of tokens away."""
    text = await streamed(client, wall, -DAY, timeout=0.5, stream_options={"include_usage": True})
    made = int(re.findall(r'"completion_tokens":(\d+)', text)[-1])
    model = await (await client.get("/model_info")).json()
    assert 0 < made < model["context_length"] - 10


@pytest.mark.parametrize("ahead", [DAY, -DAY])
async def test_a_jump_ends_no_session_and_no_pin(client: Any, tiny_engine: Any, wall: WallClock, ahead: float) -> None:
    text = "a prefix that is worth being kept for a while, and then for a little longer; " * 2
    await client.post(PATH, json={"prompt": text, "max_tokens": 1})
    pin = tiny_engine.pin(text, 50.0)
    name = (await (await client.post("/sessions", json={"text": "abc"})).json())["id"]
    wall.ahead = ahead
    assert client.app[CONFIG].sessions.idle_seconds < DAY
    assert client.app[HELD].expire() == 0
    async with client.get(f"/sessions/{name}") as response:
        assert response.status == 200
    assert tiny_engine.stats()["pins"] == 1
    assert tiny_engine.unpin(pin)


async def test_the_time_a_server_is_up_does_not_jump(client: Any, wall: WallClock) -> None:
    for ahead in (DAY, -DAY):
        wall.ahead = ahead
        async with client.get("/server_info") as response:
            assert 0 <= (await response.json())["uptime_seconds"] < 3600


def test_only_what_is_for_people_reads_the_wall_clock() -> None:
    root = Path(runtime.__file__).parent.parent
    wall = re.compile(
        r"\btime\.time(_ns)?\b|\bdatetime\.(now|utcnow)\b|from time import .*\btime\b|\btime\.localtime\("
    )
    found = {
        file.relative_to(root).as_posix()
        for package in ("runtime", "sgdsl", "grammars")
        for file in (root / package).rglob("*.py")
        if wall.search(file.read_text(encoding="utf-8"))
    }
    assert found == FOR_PEOPLE
