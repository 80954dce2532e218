from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runtime.errors import EngineError


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found: int = unused.getsockname()[1]
    return found


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tiny_engine: Any, sgdsl: Any) -> Any:
    """Runs `sgdsl serve` on the tiny engine."""

    @contextmanager
    def engine(**_: Any) -> Iterator[Any]:
        yield tiny_engine

    monkeypatch.setattr("runtime.engine.Engine", engine)
    return lambda *words: sgdsl("serve", "--in-process", *words)


def _ask(port: int, found: list[Any], headers: dict[str, str]) -> None:
    """Asks for the models as soon as the server is there, then ends it as an operator does."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers=headers)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                found.append(json.load(response))
            break
        except ConnectionError:
            time.sleep(0.01)
        except OSError as error:
            found.append(error)
            if getattr(error, "reason", None) is None:
                break
            found.pop()
            time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_serves_until_sigterm(served: Any, port: int) -> None:
    found: list[Any] = []
    headers = {"Authorization": "Bearer secret"}
    client = threading.Thread(target=_ask, args=(port, found, headers))
    client.start()
    code, out, err = served("--port", port, "--api-key", "secret", "--served-model-name", "mine")
    client.join()
    assert (code, out) == (0, "")
    assert f" at http://127.0.0.1:{port}\n" in err
    assert "max_total_tokens" in err
    assert [card["id"] for card in found[0]["data"]] == ["mine"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "--model", "b"], "MODEL a and --model b are given together"),
        (["--port", "99999"], "port=99999 is not allowed"),
        (["--drain-seconds", "-1"], "drain_seconds=-1.0 is not allowed"),
        (["--set", "page_size=none?"], "page_size"),
        (["--api-keys", "/nowhere/keys.json"], "api_key_file='/nowhere/keys.json'"),
        (["--cors-origin", "example.org"], "cors_origins='example.org' is not allowed"),
        (["--metrics-prefix", "a:b"], "metrics_prefix='a:b' is not allowed"),
    ],
)
def test_what_is_asked_wrongly(served: Any, words: list[str], said: str) -> None:
    code, _, err = served(*words)
    assert code == 2
    assert said in err


def test_a_port_that_is_taken(served: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = served("--port", taken.getsockname()[1])
    assert code == 2
    assert "ort=" in err


def test_the_engine_has_a_process_of_its_own_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, sgdsl: Any) -> None:
    asked: list[dict[str, Any]] = []

    def engine(**settings: Any) -> None:
        asked.append(settings)
        raise EngineError("its process ended with exit code 3 before it served")

    monkeypatch.setattr("runtime.server.remote.remote_engine.RemoteEngine", engine)
    code, _, err = sgdsl("serve", "some-model", "--set", "page_size=1")
    assert (code, asked) == (1, [{"model": "some-model", "page_size": 1}])
    assert "exit code 3 before it served" in err
