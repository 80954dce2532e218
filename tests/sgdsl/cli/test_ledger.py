from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgdsl.backends import server_question
from sgdsl.errors import EndpointError

FOUND = {
    "ledger": {"free": 3000, "tree": 1000, "request": 0, "session": 96, "in_transfer": 0, "total": 4096},
    "evictable_tokens": 900,
    "protected_tokens": 100,
    "namespaces": {"": 1000},
    "pins": [{"name": "pin-1", "num_tokens": 64, "namespace": "", "seconds_left": 12.4}],
    "holders": [
        {
            "program": "triage", "namespace": "", "owner": "session", "num_tokens": 70, "private_pages": 1,
            "shared_pages": 4, "is_busy": False,
        }
    ],
    "nodes": [{"start": 0, "num_tokens": 64, "locks": 1, "hits": 2, "namespace": "", "text": "Be\nbrief"}],
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []

    def ask(url: str, path: str, api_key: str | None) -> Any:
        urls.append(url + path)
        if "nobody" in url:
            raise EndpointError(f"{url}: no answer")
        return FOUND

    monkeypatch.setattr(server_question, "ask_server", ask)
    return urls


def test_the_ledger_and_who_holds_what(sgdsl: Any, asked: list[str]) -> None:
    code, out, err = sgdsl("info", "--ledger", "--url", "http://127.0.0.1:7")
    assert (code, err) == (0, "")
    assert asked[0].startswith("http://127.0.0.1:7/cache?")
    assert "free          3000  73.2%" in out
    assert "triage   -          session      70          1           4" in out
    assert "pin-1      64  12 s" in out
    assert '"Be\\nbrief"' in out
    assert "900 of the tree's tokens can be evicted" in out


def test_as_json_and_at_the_usual_place(sgdsl: Any, asked: list[str]) -> None:
    code, out, _ = sgdsl("info", "--ledger", "--json")
    assert code == 0
    assert json.loads(out) == FOUND
    assert asked[0].startswith("http://127.0.0.1:30000/")


def test_what_goes_wrong_is_said_in_a_line(sgdsl: Any, asked: list[str]) -> None:
    assert sgdsl("info", "--ledger", "--url", "http://nobody")[::2] == (
        1, "sgdsl: --url: http://nobody: no answer\n"
    )  # fmt: skip
    assert sgdsl("info", "--url", "http://x")[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--backend", "gpu"), "'gpu' is not allowed: engine, mock, or a URL"),
        (("--backend", "http://127.0.0.1:9", "--set", "page_size=1"), "page_size: settings are the server's own"),
        (("--backend", "http://127.0.0.1:9/?x=1"), "--backend: url="),
        (("--backend", "http://127.0.0.1:9/v1"), "which of its models"),
    ],
)
def test_a_backend_elsewhere_is_asked_for_properly(
    write: Callable[..., Path], sgdsl: Any, words: tuple[str, ...], said: str
) -> None:
    path = write("""
        @sg.function
        def main(s):
            s += sg.gen("a")
    """)
    code, _, err = sgdsl("run", path, *words)
    assert code == 2
    assert said in err
