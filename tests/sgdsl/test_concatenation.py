"""`join("concat_and_append")`: texts, names, messages and streams, in every way a program can run, and its failures."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.compiled import CompiledProgram
from sgdsl.ir import Concat

TEXT = "Q:0 one x;1 two;2 three;end"
ANSWERS = {"a": ["one x", "two", "three"]}


@sg.function
def parts(s: sg.ProgramState) -> None:
    s += "Q:"
    forks = s.fork(3)
    forks += lambda i: f"{i} " + sg.gen("a") + ";"
    forks.join("concat_and_append")
    s += "end"


def check(state: sg.ProgramState, mock: sg.Mock) -> None:
    assert state.text() == TEXT
    assert state["a"] == ANSWERS["a"]
    assert state.text_of("a") == ANSWERS["a"]
    assert [meta["attention_recomputed"] for meta in state.get_meta_info("a")] == [False] * 3
    assert mock.num_open == 0


@pytest.mark.parametrize("latency", [0.0, 0.01])
def test_texts_and_names_come_back_in_order(latency: float) -> None:
    mock = sg.Mock(ANSWERS, latency=latency)
    check(parts.run(backend=mock), mock)


def test_what_follows_sees_the_parts_and_needs_no_computing() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        parts.inline(s)
        s += sg.gen("b") + sg.select("c", ["yes", "no"])
        return s.tokens()

    mock = sg.Mock(ANSWERS | {"b": "last"})
    state = program.run(backend=mock)
    assert mock.calls[-2].prompt == TEXT
    assert state.get_meta_info("b")["cached_tokens"] == state.get_meta_info("b")["prompt_tokens"] - 1
    assert "".join(mock.token_text(token) for token, _ in state.ret_value) == TEXT + "lastyes"
    origins = [origin for token, origin in state.ret_value if mock.token_text(token) in (" x", "1")]
    assert origins == ["generated", "prompt"]


async def test_in_async_programs() -> None:
    @sg.function
    async def program(s: sg.ProgramState) -> Any:
        parts.inline(s)
        return await s.get("a")

    mock = sg.Mock(ANSWERS, latency=0.01)
    state = await program.arun(backend=mock)
    assert state.ret_value == ANSWERS["a"]
    check(state, mock)


def test_streaming_shows_the_parts_as_they_come() -> None:
    mock = sg.Mock(ANSWERS, latency=0.05)
    state = parts.run(backend=mock, stream=True)
    pieces = list(state.text_iter())
    assert "".join(pieces) == TEXT
    assert pieces == ["Q:", "0 ", "one", " x", ";", "1 ", "two", ";", "2 ", "three", ";", "end"]


def test_compiled_programs_do_the_same() -> None:
    graph = parts.trace()
    assert [one.node for one in graph if isinstance(one.node, Concat)] == [Concat((1, 2, 3))]
    assert "concat" in str(graph)
    assert type(graph).from_json(graph.to_json()) == graph
    mock = sg.Mock(ANSWERS)
    check(parts.compile().run(backend=mock), mock)


def test_only_what_was_written_before_the_join_is_appended_and_forks_go_on() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "Q"
        forks = s.fork(2)
        forks += lambda i: f" {i}"
        s += " grown"
        forks.join("concat_and_append")
        forks += " later" + sg.gen("x")
        s += " end" + sg.gen("y")
        forks.join("concat_and_append")
        return [fork.text() for fork in forks], s["x"]

    mock = sg.Mock(lambda prompt, params: f"<{prompt}>")
    state = program.run(backend=mock)
    first = "Q grown 0 1 end"
    assert state["y"] == f"<{first}>"
    assert state.ret_value == ([f"Q {i} later<Q {i} later>" for i in range(2)], [f"<Q {i} later>" for i in range(2)])
    parts = "".join(f" {i} later<Q {i} later>" for i in range(2))
    assert state.text() == f"{first}<{first}>{parts}"
    assert mock.num_open == 0


def test_forks_of_forks_rollbacks_and_scopes() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        with s.var_scope("all"):
            s += "Q"
            outer = s.fork(2)
            for i, state in enumerate(outer):
                state += f" {i}"
                point = state.checkpoint()
                state += " gone" + sg.gen("gone")
                state.rollback(point)
                inner = state.fork(2)
                inner += lambda j: f" .{j}" + sg.gen("x")
                inner.join("concat_and_append")
            outer.join("concat_and_append")
        before = s.checkpoint()
        last = s.fork(1)
        last += " last"
        last.join("concat_and_append")
        assert s.text().endswith(" last")
        s.rollback(before)
        return s["all"], s["x"]

    mock = sg.Mock(lambda prompt, params: "!")
    text, names = program.run(backend=mock).ret_value
    assert text == "Q 0 .0! .1! 1 .0! .1!"
    assert names == [["!", "!"], ["!", "!"]]
    assert mock.num_open == 0


def test_dropped_forks_are_appended_all_the_same_and_then_closed() -> None:
    opened = threading.Event()

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "Q" + sg.gen("slow")
        s.fork(2).join("concat_and_append")
        forks = s.fork(2)
        forks += " x" + sg.gen("b")
        forks.join("concat_and_append")
        del forks
        opened.set()
        s += "end"
        s.sync()
        deadline = time.monotonic() + 5
        while mock.num_open > 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        return mock.num_open

    def answer(prompt: str, params: object) -> str:
        assert opened.wait(5)
        return "!"

    mock = sg.Mock(answer)
    state = program.run(backend=mock)
    assert state.ret_value == 1
    assert state.text() == "Q! x! x!end"


def test_messages_of_forks_are_messages_of_the_state() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.user("Two views?")
        forks = s.fork(2)
        forks += lambda i: sg.assistant(sg.gen("a")) + sg.user(f"and {i}")
        forks.join("concat_and_append")
        s += sg.assistant(sg.gen("b"))

    state = program.run(backend=sg.Mock({"a": ["one", "two"], "b": "both"}))
    assert [(message["role"], message["content"]) for message in state.messages()] == [
        ("user", "Two views?"), ("assistant", "one"), ("user", "and 0"), ("assistant", "two"), ("user", "and 1"),
        ("assistant", "both"),
    ]  # fmt: skip


def _in_a_message(s: sg.ProgramState) -> None:
    forks = s.fork(1)
    forks += sg.user_begin() + "x"
    forks.join("concat_and_append")


def _from_a_message(s: sg.ProgramState) -> None:
    s += sg.user_begin()
    forks = s.fork(1)
    s += sg.user_end()
    forks.join("concat_and_append")


def _of_another(s: sg.ProgramState) -> None:
    forks = s.fork(1)
    forks.join("concat_and_append", return_exceptions=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (_in_a_message, "began outside chat messages and ends inside a chat message"),
        (_from_a_message, "the state it came from stands outside"),
        (_of_another, "return_exceptions=True is not allowed with concat_and_append"),
    ],
)
def test_what_cannot_be_appended_is_refused(wrong: Callable[[sg.ProgramState], None], message: str) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        with pytest.raises(sg.InvalidArgument, match=message):
            wrong(s)
        s += " on"

    assert program.run(backend=sg.Mock()).text().endswith(" on")


def test_backends_that_cannot_are_named(mock: sg.Mock) -> None:
    mock.capabilities = sg.Capabilities(labels=True)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(1)
        forks += "x" + sg.gen("a")
        with pytest.raises(sg.BackendCapabilityError, match=r"join\('concat_and_append'\).*mock"):
            forks.join("concat_and_append")
        forks.join()
        s += " on"

    state = program.run(backend=mock)
    assert (state.text(), state["a"]) == (" on", ["mock"])


@pytest.mark.parametrize("compiled", [False, True])
def test_a_failed_fork_fails_the_state(compiled: bool) -> None:
    mock = sg.Mock({"a": ["one", ValueError("no"), "three"]}, latency=0.01)
    program = parts.compile() if compiled else parts
    with pytest.raises(sg.ProgramError, match="no"):
        program.run(backend=mock)
    assert mock.num_open == 0


def test_a_graph_that_appends_without_joining_fails_and_does_not_hang() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        forks = s.fork(1)
        forks += sg.gen("a")
        forks.join("concat_and_append")

    graph = program.trace()
    alone = graph.rewritten([one for one in graph if type(one.node).__name__ != "Join"], {})
    with pytest.raises(sg.ProgramError, match="no"):
        CompiledProgram(alone).run(backend=sg.Mock([ValueError("no")]))


async def test_cancelling_and_timeouts_end_it() -> None:
    @sg.function
    async def program(s: sg.ProgramState) -> Any:
        parts.inline(s)
        return await s.get("a")

    mock = sg.Mock(ANSWERS, latency=30)
    task = asyncio.create_task(program.arun(backend=mock, timeout=0.1))
    with pytest.raises(sg.ProgramTimeout):
        await asyncio.wait_for(task, 5)
    assert mock.num_open == 0


@pytest.mark.parametrize("fails", [False, True])
def test_a_record_has_the_concatenation_and_no_step_that_nobody_said(tmp_path: Path, fails: bool) -> None:
    path = tmp_path / "run.jsonl"
    mock = sg.Mock({"a": ["one x", ValueError("no") if fails else "two", "three"]}, latency=0.01)
    with pytest.raises(sg.ProgramError) if fails else nullcontext():
        parts.run(backend=mock, record=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    said = {line["id"]: line for line in lines if line["entry"] == "instruction"}
    [concat] = [line for line in said.values() if line["kind"] == "concat"]
    assert concat["streams"] == [1, 2, 3]
    assert {line["id"] for line in lines if "id" in line} == set(said)
    came_to = [line["entry"] for line in lines if line.get("id") == concat["id"]]
    assert came_to[-1] == ("failed" if fails else "ended")
