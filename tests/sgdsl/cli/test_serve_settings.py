from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from runtime.server.config import ServerConfig
from sgdsl.cli.errors import UsageError
from sgdsl.cli.parser import build_parser
from sgdsl.cli.serve_settings import ServeSettings

FILE = """
[engine]
page_size = 4

[serve]
host = "0.0.0.0"
port = 8000
api_keys = ["a", "b"]
cors_origins = ["https://example.org"]
drain_seconds = 5
hang_seconds = 7
open_metrics = true
in_process = true

[serve.sessions]
max_http_sessions = 3
idle_seconds = 1.5
"""


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGDSL_API_KEY", raising=False)
    monkeypatch.delenv("SGDSL_ADMIN_API_KEY", raising=False)


def told(*words: object) -> ServeSettings:
    options: argparse.Namespace = build_parser().parse_args(["serve", *map(str, words)])
    return ServeSettings.of(options)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    path = tmp_path / "sgdsl.toml"

    def written(text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_without_a_word_everything_is_as_usual() -> None:
    assert told() == ServeSettings(ServerConfig())


def test_a_file_says_what_the_command_line_does_not(write: Any) -> None:
    found = told("--config", write(FILE))
    config = found.config
    assert (config.host, config.port, config.drain_seconds) == ("0.0.0.0", 8000, 5.0)
    assert (config.api_keys, config.cors_origins) == (("a", "b"), ("https://example.org",))
    assert (config.open_metrics, config.log_json) == (True, False)
    assert (config.sessions.max_http_sessions, config.sessions.idle_seconds) == (3, 1.5)
    assert config.sessions.max_sessions == ServerConfig().sessions.max_sessions
    assert (found.in_process, found.hang_seconds) == (True, 7.0)


def test_the_command_line_goes_before_the_file(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(FILE)
    found = told(
        "--config", path, "--port", 0, "--api-key", "c", "--no-open-metrics", "--no-in-process", "--hang-seconds", 9,
        "--cors-origin", "*", "--max-body-mib", 2,
    )  # fmt: skip
    config = found.config
    assert (config.host, config.port, config.max_body_bytes) == ("0.0.0.0", 0, 2 << 20)
    assert (config.api_keys, config.cors_origins, config.open_metrics) == (("c",), ("*",), False)
    assert (found.in_process, found.hang_seconds) == (False, 9.0)
    monkeypatch.setenv("SGDSL_API_KEY", "d")
    assert told("--config", path).config.api_keys == ("d",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prot = 1", r"\[serve\]: no setting 'prot'; there are admin_api_keys, .*, port, "),
        ("port = '8000'", r"\[serve\]: port='8000' is not allowed: an integer"),
        ("port = true", r"\[serve\]: port=True is not allowed: an integer"),
        ("port = 99999", r"\[serve\]: port=99999 is not allowed: a number in 0\.\.65535"),
        ("drain_seconds = '1'", r"\[serve\]: drain_seconds='1' is not allowed: a number"),
        ("otel = 1", r"\[serve\]: otel=1 is not allowed: true or false"),
        ("api_keys = 'a'", r"\[serve\]: api_keys='a' is not allowed: a list of texts"),
        ("api_key_file = 1", r"\[serve\]: api_key_file=1 is not allowed: text"),
        ("hang_seconds = 0", r"\[serve\]: hang_seconds=0 is not allowed: a number of seconds above 0"),
        ("sessions = 1", r"\[serve\]: sessions=1 is not allowed: a table of max_sessions"),
        ("[serve.sessions]\nidle = 1", r"\[serve\]: sessions: no setting 'idle'; there are .*idle_seconds"),
        ("[serve.sessions]\nidle_seconds = 0", r"\[serve\]: sessions: idle_seconds=0.0 is not allowed"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(write: Any, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=rf"--config .*sgdsl\.toml: {reason}"):
        told("--config", write(f"[serve]\n{text}"))


def test_what_is_wrong_with_the_command_line_is_said() -> None:
    with pytest.raises(UsageError, match=r"^--hang_seconds=0 is not allowed"):
        told("--hang-seconds", 0)
    with pytest.raises(UsageError, match=r"^--port=-1 is not allowed"):
        told("--port", -1)
