"""Peers: named on the command line, recognized by what they say of themselves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from benchmarks.suite.catalogue import WORKLOADS
from benchmarks.suite.generated import generated
from benchmarks.suite.measurement import measure
from benchmarks.suite.peer import PeerSide, PeerUnusable, peers_of
from benchmarks.suite.size import SIZES


class _Answers(BaseHTTPRequestHandler):
    """Lists one model, and fails whatever it is asked to complete."""

    models: ClassVar[Any] = {}

    def do_GET(self) -> None:
        self._send(200, json.dumps(type(self).models).encode())

    def do_POST(self) -> None:
        self._send(500, b'{"error": {"message": "out of slots", "type": "fault"}}')

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_Answers, "models", {"data": [{"id": "m", "owned_by": "llamacpp"}]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("maker", "fixed", "echoes"),
    [
        ("llamacpp", True, False),
        ("vllm", True, True),
        ("sglang", True, True),
        ("sgdsl", True, True),
        ("x", False, False),
    ],
)
def test_a_server_is_asked_in_the_words_of_its_maker(
    url: str, monkeypatch: pytest.MonkeyPatch, maker: str, fixed: bool, echoes: bool
) -> None:
    monkeypatch.setattr(_Answers, "models", {"data": [{"id": "m", "owned_by": maker}]})
    side = PeerSide("peer", f"{url}/v1/")
    for is_chat in (False, True):
        able = side.backend(is_chat=is_chat).capabilities
        assert ("ignore_eos" in able.gen_options) == fixed
        assert able.score == (echoes and not is_chat)
        assert able.roles == is_chat
    assert maker in side.about
    assert ("lengths are not fixed" in side.about) != fixed
    assert (side.cpu_seconds() or 0.0) > 0  # the stand-in is this process
    side.close()


@pytest.mark.parametrize("name", ["gsm8k", "scenes", "characters"])
def test_a_workload_that_the_peer_fails_is_a_failure_with_its_words(url: str, name: str) -> None:
    side, workload = PeerSide("peer", url), WORKLOADS[name]
    run = measure(workload, workload.items(generated(0), SIZES["small"], "x"), side, timeout=60.0)
    side.close()
    assert run.error is not None
    assert "out of slots" in run.error


def test_names_and_urls() -> None:
    assert peers_of("") == []
    assert peers_of("a=http://h:1 b=https://h/v1") == [("a", "http://h:1"), ("b", "https://h/v1")]


@pytest.mark.parametrize("text", ["http://h:1", "a=h:1", "=http://h", "a=http://h a=http://i", "engine=http://h"])
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(PeerUnusable, match="is not allowed"):
        peers_of(text)


def test_a_peer_that_is_not_there_or_tells_no_model(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PeerUnusable, match=r"llama: http://127\.0\.0\.1:1/v1/models"):
        PeerSide("llama", "http://127.0.0.1:1")
    monkeypatch.setattr(_Answers, "models", {"data": []})
    with pytest.raises(PeerUnusable, match="tells no model"):
        PeerSide("llama", url)
