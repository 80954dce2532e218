"""Programs that the server runs itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

import sgdsl as sg
from runtime.engine import Engine
from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.local_engine import LocalEngine
from runtime.server.programs.routes import LIMITS
from runtime.server.programs.runner import ProgramLimits
from sgdsl.served.runner import GraphRunner


@sg.function
def story(s: sg.ProgramState, hero: str, place: str = "the theatre") -> Any:
    s += "In " + place + ", " + hero + sg.gen("first", 48, temperature=0, ignore_eos=True)
    s += sg.select("end", ["well", "badly"])
    forks = s.fork(2)
    forks += " and" + sg.gen("more", 4, regex="[a-c]{3}", temperature=0)
    forks.join()
    return {"end": s["end"], "more": s["more"]}


@sg.function
def endless(s: sg.ProgramState) -> None:
    s += "x" + sg.gen("y", 1500, temperature=0, ignore_eos=True)


def graph_of(program: sg.Program) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(program.trace().to_json())
    return found


Make = Callable[..., Awaitable[Any]]


@pytest.fixture
async def make_client(
    tiny_engine: Engine, settles: Callable[..., bool], is_idle: Callable[[Engine], bool]
) -> AsyncIterator[Make]:
    clients: list[Any] = []

    async def make(**limits: Any) -> Any:
        local = LocalEngine(tiny_engine)
        app = make_app(local, ServerConfig(), GraphRunner(local))
        app[LIMITS] = ProgramLimits(**limits)
        clients.append(TestClient(TestServer(app)))
        await clients[-1].start_server()
        return clients[-1]

    yield make
    for client in clients:
        await client.close()
    assert settles(lambda: is_idle(tiny_engine))


@pytest.fixture
async def client(make_client: Make) -> Any:
    return await make_client()


async def ran(client: Any, status: int = 200, **body: Any) -> Any:
    response = await client.post("/programs", json=body)
    assert response.status == status, await response.text()
    return await response.json()


async def test_a_graph_gives_what_the_program_gives(client: Any, tiny_engine: Engine) -> None:
    direct = await asyncio.to_thread(story.run, "Ann", backend=tiny_engine)
    before = tiny_engine.stats()["computed_tokens"]
    found = await ran(client, graph=graph_of(story), arguments={"hero": "Ann"}, rid="mine")
    assert found["id"] == "mine"
    assert found["name"] == "story"
    assert found["value"] == direct.ret_value
    assert found["text"] == direct.text()
    assert found["variables"]["first"] == direct["first"]
    assert (found["usage"]["gens"], found["usage"]["selects"]) == (3, 1)
    assert tiny_engine.stats()["computed_tokens"] - before < found["usage"]["prompt_tokens"]
    as_text = await ran(client, graph=story.trace().to_json(), arguments={"hero": "Bob", "place": "school"})
    assert as_text["text"].startswith("In school, Bob")


async def test_a_stream_tells_what_happens(client: Any) -> None:
    body = {"graph": graph_of(story), "arguments": {"hero": "Ann"}, "stream": True}
    response = await client.post("/programs", json=body)
    lines = [line.removeprefix("data: ") for line in (await response.text()).split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    events = [json.loads(line) for line in lines[:-1]]
    end = events[-1]
    assert end["event"] == "end"
    assert "".join(one.get("text", "") for one in events[:-1]) == end["text"]
    values = {one["name"]: one["value"] for one in events if one["event"] == "generated_end"}
    assert values == {"first": end["variables"]["first"], "end": end["variables"]["end"]}
    assert sum(one["event"] == "generated" and one["name"] == "first" for one in events) > 1


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"graph": "{"}, "graph", "not a graph"),
        ({"graph": {}}, "graph", "not a graph"),
        ({"graph": "[" * 100_000}, "graph", "not a graph"),
        ({"graph": 5}, "graph", ""),
        ({"arguments": {}}, "arguments", "hero"),
        ({"arguments": {"hero": "x", "villain": "y"}}, "arguments.villain", "villain"),
        ({"arguments": {"hero": "x", "record": "/tmp/x"}}, "arguments.record", "record"),
        ({"sampling_params": {"record": "/tmp/x"}}, "sampling_params.record", "record"),
        ({"sampling_params": {"temperature": -1}}, "arguments", "temperature"),
        ({"timeout": 0}, "timeout", "timeout"),
        ({"timeout": 1e9}, "timeout", "timeout"),
        ({"arguments": {"hero": 5}}, None, "text is needed"),
    ],
)
async def test_what_is_wrong_is_named(client: Any, change: dict[str, Any], param: str | None, message: str) -> None:
    body = {"graph": graph_of(story), "arguments": {"hero": "Ann"}, **change}
    error = (await ran(client, 400, **body))["error"]
    assert error["param"] == param
    assert message in error["message"]


async def test_a_graph_may_touch_nothing_but_the_model(client: Any) -> None:
    @sg.function
    def seeing(s: sg.ProgramState) -> None:
        s += sg.user(sg.image("http://127.0.0.1/secret.png") + "What is it?")
        s += sg.assistant(sg.gen("a"))

    assert "Image" in (await ran(client, 400, graph=graph_of(seeing)))["error"]["message"]
    graph = graph_of(endless)
    graph["instructions"][0]["node"] = {"kind": "Popen", "args": ["ls"]}
    assert "Popen" in (await ran(client, 400, graph=graph))["error"]["message"]
    graph = graph_of(endless) | {"stopped": "here"}
    assert "not whole" in (await ran(client, 400, graph=graph))["error"]["message"]
    graph = graph_of(endless) | {"parameters": [{"kind": "Parameter", "name": "record", "default": "/tmp/x"}]}
    assert (await ran(client, 400, graph=graph))["error"]["param"] == "arguments.record"


async def test_a_graph_is_bounded(make_client: Make) -> None:
    client = await make_client(max_nodes=3, max_bytes=10_000, max_streams=1, max_depth=1)
    for program in (story, sg.function(lambda s: [s.__iadd__("x" + sg.gen(f"v{i}", 1)) for i in range(9)] and None)):
        assert "at most" in (await ran(client, 400, graph=graph_of(program)))["error"]["message"]
    graph = graph_of(endless)
    graph["name"] = "x" * 20_000
    assert "at most 10000" in (await ran(client, 400, graph=graph))["error"]["message"]


async def test_a_program_that_takes_too_long_ends(client: Any) -> None:
    error = (await ran(client, 408, graph=graph_of(endless), timeout=0.05))["error"]
    assert (error["type"], error["code"], error["param"]) == ("timeout_error", "timeout", "timeout")


async def test_a_bad_grammar_is_said_with_its_place(client: Any) -> None:
    graph = graph_of(endless)
    graph["instructions"][1]["node"]["constraint"] = {"kind": "Lark", "text": "start: A\nA: /(/"}
    found = await client.post("/programs", json={"graph": graph})
    assert found.status == 400
    assert "in endless: gen y" in (await found.json())["error"]["message"]


async def test_a_program_ends_with_its_client_and_by_its_name(
    client: Any, tiny_engine: Engine, settles: Callable[..., bool], is_idle: Callable[[Engine], bool]
) -> None:
    async def running() -> None:
        async with asyncio.timeout(10):
            while not tiny_engine.stats()["running"]:
                await asyncio.sleep(0.001)

    asking = asyncio.ensure_future(client.post("/programs", json={"graph": graph_of(endless), "rid": "mine"}))
    await running()
    assert (await (await client.post("/abort_request", json={"rid": "mine"})).json())["aborted"] == 1
    assert (await asking).status == 499
    for stream in (False, True):
        asking = asyncio.ensure_future(client.post("/programs", json={"graph": graph_of(endless), "stream": stream}))
        await running()
        asking.cancel() if not asking.done() else asking.result().close()
        async with asyncio.timeout(5):
            while not is_idle(tiny_engine):
                await asyncio.sleep(0.001)


async def test_a_server_without_a_runner_says_so(tiny_engine: Engine) -> None:
    client: Any = TestClient(TestServer(make_app(LocalEngine(tiny_engine))))
    await client.start_server()
    assert (await client.post("/programs", json={"graph": {}})).status == 501
    await client.close()
