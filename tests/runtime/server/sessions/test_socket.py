"""The websocket: what is wrong on it, and clients that read nothing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import WSMsgType

from runtime.engine import Engine
from runtime.sampling.params import SamplingParams
from runtime.server.keys import RUNNING
from runtime.server.local_engine import LocalEngine
from runtime.server.sessions.keys import PEERS
from runtime.server.sessions.limits import SessionLimits
from runtime.wire import messages as wire
from runtime.wire.params import write_params

LONG = write_params(SamplingParams(max_new_tokens=400, temperature=0.0, ignore_eos=True))


def begin(number: int, *ops: Any) -> wire.Script:
    return wire.Script(number, (wire.Open(), wire.Append("the theatre"), *ops))


async def greeted(client: Any) -> Any:
    socket = await client.ws_connect(wire.PATH)
    (hello,) = wire.read_from_server(await socket.receive_str())
    assert isinstance(hello, wire.Hello)
    return socket


async def answers(socket: Any, *kinds: type) -> list[Any]:
    """All that is said until a message of one of these kinds."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        while not any(isinstance(one, kinds) for one in found):
            found += wire.read_from_server(await socket.receive_str())
    return found


async def ended(client: Any) -> None:
    async with asyncio.timeout(10):
        while client.app[PEERS]:
            await asyncio.sleep(0.005)


async def test_hello_says_what_the_engine_can_do(client: Any, tiny_engine: Engine) -> None:
    socket = await client.ws_connect(wire.PATH)
    (hello,) = wire.read_from_server(await socket.receive_str())
    assert (hello.model, hello.context_length) == ("tiny", tiny_engine.context_length)
    assert {"Regex", "JsonSchema", "Lark"} <= set(hello.constraints)
    assert hello.chat_template is not None
    assert tiny_engine.chat_template is not None
    assert hello.chat_template.source == tiny_engine.chat_template.source
    assert len(hello.fingerprint) == 64
    await socket.close()
    await ended(client)


async def test_pieces_come_as_they_are_written(client: Any, tiny_engine: Engine) -> None:
    socket = await greeted(client)
    await socket.send_str(wire.write_frame([begin(1, wire.Generate(1, LONG), wire.Close())]))
    found = await answers(socket, wire.Generated, wire.Failed)
    assert sum(isinstance(one, wire.Streamed) for one in found) > 5
    assert "".join(one.chunk.text for one in found if isinstance(one, wire.Streamed)) == found[-1].result.text
    await socket.close()
    await ended(client)


@pytest.mark.parametrize(
    "frame",
    [
        "nonsense",
        "[" * 100_000,
        '{"type":"Script"}',
        '[{"type":"Script","session":1,"ops":[{"type":"Append","content":"x"}]}]',
        '[{"type":"Script","session":"one","ops":[]}]',
        '[{"type":"Strange"}]',
        b"\x00\x01",
    ],
)
async def test_a_client_that_makes_no_sense_is_refused_alone(
    client: Any, tiny_engine: Engine, frame: str | bytes
) -> None:
    good, bad = await greeted(client), await greeted(client)
    await good.send_str(wire.write_frame([begin(1, wire.Generate(1, LONG))]))
    await (bad.send_bytes(frame) if isinstance(frame, bytes) else bad.send_str(frame))
    (refused,) = await answers(bad, wire.Refused)
    assert refused.problem.kind == "ProtocolError"
    assert (await bad.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    assert (await answers(good, wire.Generated))[-1].result.num_generated == 400
    for socket in (good, bad):
        await socket.close()
    await ended(client)


async def test_a_client_that_vanishes_frees_everything(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    socket = await greeted(client)
    scripts = [begin(number, wire.Generate(number, LONG)) for number in range(1, 9)]
    await socket.send_str(wire.write_frame(scripts))
    await answers(socket, wire.Streamed)
    assert len(client.app[RUNNING]) == 1
    socket._response.connection.transport.abort()
    await ended(client)
    assert len(client.app[RUNNING]) == 0
    await asyncio.to_thread(assert_nothing_held, tiny_engine)
    await socket.close()


async def test_one_that_takes_nothing_is_cut_off(make_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = await make_client(sessions=SessionLimits(max_outbox_bytes=3000))
    socket = await greeted(client)
    questions = [wire.Texts(call, 0, 300) for call in range(1, 100)]
    await socket.send_str(wire.write_frame(questions))
    await ended(client)
    assert "is cut off: more than 3000 bytes" in caplog.text
    await socket.close()


async def test_long_texts_hold_up_nobody(client: Any) -> None:
    socket = await greeted(client)
    text = "the theatre there " * 60_000
    await socket.send_str(wire.write_frame([wire.Script(1, (wire.Open(), wire.Append(text), wire.Mark(1)))]))
    async with asyncio.timeout(20):
        assert (await client.get("/health")).status == 200
    (told,) = await answers(socket, wire.Failed)
    assert int(re.findall(r"has (\d+) tokens; context_length=", told.problem.message)[0]) > 60_000
    await socket.close()
    await ended(client)


async def test_a_server_that_stops_waits_for_sessions_and_takes_no_more(client: Any, tiny_engine: Engine) -> None:
    busy, idle = await greeted(client), await greeted(client)
    await busy.send_str(wire.write_frame([begin(1, wire.Generate(1, LONG), wire.Close())]))
    await answers(busy, wire.Streamed)
    draining = asyncio.ensure_future(client.app[RUNNING].drain(20))
    await asyncio.sleep(0)
    await idle.send_str(wire.write_frame([begin(1)]))
    (refused,) = await answers(idle, wire.Refused)
    assert "stopping" in refused.problem.message
    assert (await answers(busy, wire.Generated))[-1].result.num_generated == 400
    await busy.close()
    assert await draining == 0
    await idle.close()


async def test_everything_can_be_ended(client: Any, tiny_engine: Engine) -> None:
    socket = await greeted(client)
    await socket.send_str(wire.write_frame([begin(1, wire.Generate(1, LONG))]))
    await answers(socket, wire.Streamed)
    response = await client.post("/abort_request", json={"abort_all": True})
    assert json.loads(await response.text())["aborted"] == 1
    assert "ends everything" in (await answers(socket, wire.Refused))[-1].problem.message
    await ended(client)
    await socket.close()


async def test_a_dead_engine_is_told_by_http(make_client: Any, engine: Engine) -> None:
    client = await make_client(LocalEngine(engine))
    engine.shutdown()
    response = await client.get(wire.PATH, headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert response.status == 503
