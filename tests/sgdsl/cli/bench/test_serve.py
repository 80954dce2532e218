from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.local_engine import LocalEngine

FEW = ("--num-requests", 6, "--concurrency", 2)


@pytest.fixture
def bench(sgdsl: Any, server: Any) -> Any:
    return lambda *words: sgdsl("bench", "serve", "--url", server.url, *words)


def test_it_prints_and_saves_what_it_measured(bench: Any, server: Any, tmp_path: Path) -> None:
    table, picture = tmp_path / "found.json", tmp_path / "found.png"
    code, out, err = bench(
        *FEW, "--slo-ttft-ms", 60_000, "--slo-itl-ms", 60_000, "--json", table, "--plot", picture, "--seed", 3
    )
    assert (code, err) == (0, f"sgdsl: first at {server.url}/v1: decode, 2 to warm up\n")
    assert "6 of 6 requests" in out
    assert "50.0% cached" in out
    assert "100.0% keep first token ≤ 60000 ms and per token ≤ 60000 ms" in out
    assert "of a core" in out
    found = json.loads(table.read_text())
    assert (found["model"], found["completed"], found["new_tokens"], found["prompt_tokens"]) == ("first", 6, 48, 60)
    assert (found["load"]["concurrency"], found["load"]["seed"], found["gave_up"]) == (2, 3, False)
    assert found["goodput"]["share"] == 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(server.bodies) == 8  # with those to warm up
    assert len({body["prompt"] for body in server.bodies}) == 8


def test_requests_that_arrive_at_a_rate(bench: Any) -> None:
    code, out, _ = bench("--rate", 1000, "--num-requests", 5, "--workload", "chat", "-q")
    assert code == 0
    assert "10 of 10 requests" in out  # two turns each


def test_failures_are_counted_and_told(bench: Any, server: Any) -> None:
    server.behave = "busy"
    code, out, err = bench(*FEW, "--warm-up", 0)
    assert code == 1
    assert "failed: 6 × status 429" in out
    assert "sgdsl: 6 failed, the first: status 429" in err


def test_a_server_that_dies_in_the_middle(bench: Any, server: Any) -> None:
    server.behave = "dies"
    code, out, err = bench("--num-requests", 1000, "--concurrency", 1, "--warm-up", 1, "--timeout", 5)
    assert code == 1
    assert "1 × connection lost" in out
    assert "10 × no connection" in out
    assert "the server is gone: given up" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--model", "third"], 1, "--model third: the server has first, second"),
        (["--url", "http://127.0.0.1:1"], 1, "--url http://127.0.0.1:1/v1: Cannot connect"),
        (["--url", "localhost:8000"], 2, "--url localhost:8000: it begins with http:// or https://"),
        (["--rate", "0"], 2, "--rate 0.0: a number above 0 is needed"),
        (["--rate", "inf"], 2, "--rate inf"),
        (["--concurrency", "0"], 2, "--concurrency 0: a number of at least 1"),
        (["--rate", "1", "--concurrency", "2"], 2, "not allowed with"),
        (["--json", "/no/such/folder/x.json"], 2, "there is no folder /no/such/folder"),
    ],
)
def test_what_is_asked_wrongly(bench: Any, words: list[str], code: int, said: str) -> None:
    found = bench(*words)
    assert found[0] == code
    assert said in found[2]


def test_a_key_that_is_not_taken(bench: Any, server: Any) -> None:
    server.behave = "no key"
    code, _, err = bench("--api-key", "wrong")
    assert code == 1
    assert "--api-key: the server" in err


def test_warming_up_tells_of_a_server_that_refuses(bench: Any, server: Any) -> None:
    server.behave = "busy"
    code, _, err = bench()
    assert code == 1
    assert "status 429 to the first requests" in err


@pytest.fixture
def own_server(tiny_engine: Any) -> Iterator[str]:
    """Our own server on the tiny engine, in a thread; its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = web.AppRunner(make_app(LocalEngine(tiny_engine), ServerConfig(served_model_name="tiny")))

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


@pytest.mark.parametrize("workload", ["shared-prefix", "program"])
def test_our_own_server(own_server: str, sgdsl: Any, tmp_path: Path, workload: str) -> None:
    table = tmp_path / "found.json"
    code, _, err = sgdsl(
        "bench", "serve", "--url", own_server, "--workload", workload, "--num-requests", 4, "--concurrency", 1,
        "--prompt-tokens", 20, "--new-tokens", 3, "--warm-up", 0, "--json", table, "-q",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(table.read_text())
    calls = 4 if workload == "shared-prefix" else 12
    assert (found["model"], found["completed"], found["new_tokens"]) == ("tiny", calls, 3 * calls)
    assert found["cached_tokens"] > 0
    assert found["first_token_seconds"]["p50"] > 0


def test_a_run_beside_another(bench: Any, server: Any, tmp_path: Path) -> None:
    table, picture = tmp_path / "found.json", tmp_path / "both.png"
    assert bench(*FEW, "--label", "before", "--json", table, "-q")[0] == 0
    code, out, err = bench(*FEW, "--seed", 5, "--compare", table, "--compare", table, "--plot", picture)
    assert code == 0
    assert ["first", "before", "before"] in [line.split() for line in out.splitlines()]
    assert err.count("sgdsl: before had another load: seed=0\n") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_told_before_anything_is_asked(bench: Any, server: Any, tmp_path: Path) -> None:
    code, _, err = bench(*FEW, "--compare", tmp_path / "none.json")
    assert code == 2
    assert "none.json: No such file" in err
    assert server.bodies == []
