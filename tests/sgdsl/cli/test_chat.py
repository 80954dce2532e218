from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import sgdsl as sg
from runtime.errors import ContextLengthExceeded
from sgdsl.cli import main

Chat: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Chat:
    """Pipes lines into `sgdsl chat` on a mock with a script; its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(lines: str, *words: str, script: Any = None) -> tuple[int, str, str]:
        mock = sg.Mock(script)
        monkeypatch.setattr("sgdsl.backends.mock.Mock", lambda: mock)
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        capsys.readouterr()
        code = main(["chat", "--backend", "mock", "-q", *words])
        captured = capsys.readouterr()
        assert mock.num_open == 0
        return code, captured.out, captured.err

    return run


def test_lines_in_and_answers_out(chat: Chat) -> None:
    assert chat("France?\n\n  Italy?  \n", script=["Paris.", "Rome."]) == (0, "Paris.\nRome.\n", "")


def test_what_it_costs_is_said_on_stderr(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    chat("")
    sys.stdin = io.StringIO("France?\n")
    assert main(["chat", "--backend", "mock"]) == 0
    first, last = capsys.readouterr().err.splitlines()
    assert first == "sgdsl: mock: a dry run without a model"
    assert re.fullmatch(r"sgdsl: 1 gen · \d+ prompt tokens \(0 cached\) · 2 generated · \d\.\d s", last)


def test_saving_and_loading_and_the_system_message(chat: Chat) -> None:
    code, _, err = chat("France?\n/save one.json\n", "--system", "Be brief.", script=["Paris."])
    assert (code, err) == (0, "sgdsl: 3 messages are in one.json\n")
    saved = json.loads(Path("one.json").read_text(encoding="utf-8"))
    assert [one["role"] for one in saved] == ["system", "user", "assistant"]
    prompts: list[str] = []

    def script(prompt: str, params: object) -> str:
        prompts.append(prompt)
        return "Rome."

    lines = "/load one.json\nItaly?\n/undo\n/undo\n/system Be long.\nSpain?\n/system\n/save two.json\n/reset\nPeru?\n"
    assert chat(lines, script=script)[0] == 0
    assert "Be brief." in prompts[0]
    assert "assistant\nParis.<" in prompts[0]
    assert "Be long." in prompts[1]
    assert "France?" not in prompts[1]
    assert [one["content"] for one in json.loads(Path("two.json").read_text())] == ["Spain?", "Rome."]
    assert prompts[2].count("<|im_start|>") == 2


def test_reset_keeps_the_system_message(chat: Chat) -> None:
    prompts: list[str] = []
    chat("a\n/reset\nb\n", "--system", "Be brief.", script=lambda prompt, params: prompts.append(prompt) or "x")
    assert prompts[1] == prompts[0].replace("\na<", "\nb<")


def test_answers_are_held_to_a_schema_until_it_is_off(chat: Chat) -> None:
    Path("schema.json").write_text('{"enum": ["yes"]}', encoding="utf-8")
    assert chat("/json schema.json\nWell?\n/json off\nWell?\n")[:2] == (0, '"yes"\nmock\n')


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/foo", "no command /foo; /help lists them"),
        ("/undo", "/undo: nothing has been asked"),
        ("/load none.json", "/load: none.json: No such file or directory"),
        ("/save", "/save: a file: Is a directory"),
        ("/load bad.json", "/load: bad.json is no JSON: Expecting value"),
        ("/load odd.json", "/load: odd.json is no list of {role, content} with roles system, user, assistant and text"),
        ("/json odd.json", "/json: json_schema: "),
    ],
)
def test_what_cannot_be_done_is_said_and_the_chat_goes_on(chat: Chat, line: str, reason: str) -> None:
    Path("bad.json").write_text("nothing", encoding="utf-8")
    Path("odd.json").write_text('[{"role": "nobody", "content": ""}]', encoding="utf-8")
    code, out, err = chat(f"{line}\nWell?\n")
    assert (code, out) == (1, "mock\n")
    assert err.startswith(f"sgdsl: {reason}")


def test_a_full_context_says_what_to_do(chat: Chat) -> None:
    full = ContextLengthExceeded("the prompt has 99 tokens; context_length=99 leaves no room for more")
    code, out, err = chat("a\nb\n/undo\nc\n", script=["one two", full, "three"])
    assert (code, out) == (1, "one two\n\nthree\n")
    assert err == f"sgdsl: the context is full: {full}; /undo or /reset makes room\n"


def test_an_answer_that_was_cut_off_says_so(chat: Chat) -> None:
    assert chat("a\n", "--max-tokens", "2", script=["one two three"])[2] == "sgdsl: cut off by --max-tokens\n"


def test_slashes_can_be_said_and_quit_ends(chat: Chat) -> None:
    prompts: list[str] = []
    chat(" /help\n/quit\nnever\n", script=lambda prompt, params: prompts.append(prompt) or "x")
    assert len(prompts) == 1
    assert "/help<" in prompts[0]


def test_help_lists_every_command(chat: Chat) -> None:
    _, out, err = chat("/help\n")
    assert out == ""
    assert re.findall(r"^/(\w+)", err, re.MULTILINE) == [
        "system", "json", "undo", "reset", "save", "load", "help", "quit",
    ]  # fmt: skip


def test_flags_reach_the_gens_and_bad_ones_are_refused(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    words = ("--temperature", "0", "--seed", "7", "--max-tokens", "9")
    chat("a\n", *words, script=lambda prompt, params: seen.append(params) or "x")
    assert (seen[0].temperature, seen[0].seed, seen[0].max_new_tokens) == (0, 7, 9)
    code, _, err = chat("a\n", "--temperature", "-1")
    assert code == 2
    assert "temperature=-1.0 is not allowed" in err


def test_on_a_terminal_there_is_a_prompt_and_ctrl_c_and_ctrl_d(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sgdsl.cli", "chat", "--backend", "mock"]
    environment = {**os.environ, "TERM": "dumb", "PYTHONPATH": str(Path(sg.__file__).parent.parent)}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path)
    os.close(theirs)
    seen = ""

    def expect(text: str, again: Callable[[], None] = lambda: None) -> None:
        nonlocal seen
        deadline = time.monotonic() + 20
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 4096).decode()
            else:
                again()
        seen = seen.partition(text)[2]

    def interrupt() -> None:
        process.send_signal(signal.SIGINT)

    try:
        expect("/help lists the commands, Ctrl-D ends\r\n> ")
        os.write(ours, b"Well?\n")
        expect("mock\r\n> ")
        expect("Ctrl-D ends\r\n> ", again=interrupt)
        os.write(ours, b"\x04")
        expect("1 gen · ")
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.model
def test_a_conversation_with_the_real_model() -> None:
    command = [sys.executable, "-m", "sgdsl.cli", "chat", "--temperature", "0", "--max-tokens", "24"]
    lines = "What is the capital of France?\nAnd of Italy?\n/undo\nAnd of Spain?\n"
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert [city in answer for city, answer in zip(["Paris", "Rome", "Madrid"], answers, strict=True)] == [True] * 3
    prompt, cached = map(int, re.findall(r"(\d+) prompt tokens \((\d+) cached\)", done.stderr)[0])
    assert cached > prompt // 2


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """As `chat`, with a server in place of the mock."""

    def run(lines: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        capsys.readouterr()
        code = main(["chat", "-q", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("url", "name", "words"),
    [("http://host/v1", "OpenAI", ("--model", "m")), ("http://host:3", "RuntimeEndpoint", ())],
)
def test_a_url_is_a_server(
    at: Chat, monkeypatch: pytest.MonkeyPatch, url: str, name: str, words: tuple[str, ...]
) -> None:
    asked: list[Any] = []

    class Stand(sg.Mock):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(["Paris."])
            asked.append((args, kwargs))

        def close(self) -> None:
            asked.append("closed")

    monkeypatch.setattr(sg, name, Stand, raising=False)
    monkeypatch.setenv("SGDSL_API_KEY", "k")
    assert at("France?\n", "--url", url, *words) == (0, "Paris.\n", "")
    assert asked[0] == ((("m",), {"base_url": url}) if name == "OpenAI" else ((url, "k"), {}))
    assert asked[1] == "closed"


def test_a_url_that_is_none_or_a_server_that_is_gone(at: Chat) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    code, _, err = at("", "--url", f"http://127.0.0.1:{port}")
    assert code == 1
    assert err.startswith(f"sgdsl: --url: http://127.0.0.1:{port}")
    for words, reason in {
        ("--url", "ftp://x"): "--url: url='ftp://x' is not allowed",
        ("--url", "http://x/v1"): "--url http://x/v1: which of its models? --model NAME says",
        (
            "--url",
            "http://x",
            "--set",
            "page_size=1",
        ): "--url is a server: neither --set, --config nor --backend",
    }.items():
        code, _, err = at("", *words)
        assert (code, reason in err) == (2, True)
