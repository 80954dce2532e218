from __future__ import annotations

import atexit
import gc
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from grammars.spec import Choice
from runtime.engine import Engine
from runtime.errors import InvalidParameter, RequestCancelled, RequestError
from runtime.sampling.params import SamplingParams
from runtime.wire import messages as wire
from runtime.wire.errors import Problem

ROOT = Path(sg.__file__).parent.parent
Serve = Callable[..., Any]
Connect = Callable[..., sg.RuntimeEndpoint]
Settles = Callable[..., bool]
GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)
LONG = SamplingParams(max_new_tokens=900, temperature=0.0, ignore_eos=True)


def test_a_server_that_dies_ends_everything_and_a_new_session_connects_anew(
    endpoint: sg.RuntimeEndpoint, server: Any
) -> None:
    sessions = [endpoint.open() for _ in range(3)]
    for session in sessions:
        session.append("x")
    running = [session.generate(LONG) for session in sessions]
    recorded = sessions[0].generate(LONG)
    for session in sessions:
        session.flush()
    assert next(iter(running[0])).token_ids
    server.crash()
    started = time.monotonic()
    for handle in (*running, recorded):
        with pytest.raises(sg.EndpointError, match=r"127\.0\.0\.1"):
            handle.result(5)
    assert time.monotonic() - started < 1
    with pytest.raises(sg.EndpointError):
        sessions[0].mark().result(1)
    for session in sessions:
        session.cancel()
        session.close()
    fresh = endpoint.open()
    fresh.append("y")
    assert fresh.generate(GREEDY).result(10).token_ids
    assert len(server.peers) == 2
    fresh.close()


def test_a_program_on_a_server_that_dies_fails(endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    program = sg.function(lambda s: s.__iadd__("x" + sg.gen("y", 900, ignore_eos=True)))
    state = program.run(backend=endpoint, stream=True)
    next(state.text_iter("y"))
    server.crash()
    with pytest.raises(sg.ProgramError) as caught:
        state.text()
    assert isinstance(caught.value.__cause__, sg.EndpointError)


def test_a_server_that_was_stopped_is_an_error_for_new_sessions_too(
    settles: Settles, endpoint: sg.RuntimeEndpoint, server: Any
) -> None:
    server.stop()
    assert settles(lambda: endpoint._connection.error is not None, 2)
    session = endpoint.open()
    with pytest.raises(sg.EndpointError, match="cannot connect"):
        session.generate(GREEDY).result(5)
    session.close()


def test_a_wrong_key_is_said(tiny_engine: Engine, serve: Serve, connect: Connect) -> None:
    server = serve(tiny_engine, "secret")
    for keys in ((), ("wrong",)):
        with pytest.raises(sg.EndpointError, match=r"HTTP 401.*api_key"):
            connect(server, *keys)
    assert connect(server, "secret").model == "tiny"


KEY = "sk-very-secret"


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)


def test_no_message_shows_the_key(tiny_engine: Engine, serve: Serve, connect: Connect) -> None:
    with pytest.raises(sg.InvalidArgument) as caught:
        sg.RuntimeEndpoint(f"http://me:{KEY}@127.0.0.1:9")
    assert KEY not in str(caught.value)
    with pytest.raises(sg.EndpointError, match=r"HTTP 401.*api_key") as refused:
        connect(serve(tiny_engine, "another"), KEY)
    assert KEY not in shown(refused.value)
    problem = wire.Refused(Problem("ProtocolError", f"{KEY} has no right to this"))
    endpoint = connect(serve(answer_all=wire.write_frame([problem])), KEY)
    session = endpoint.open()
    with pytest.raises(sg.EndpointError, match="… has no right to this") as ended:
        session.generate(GREEDY).result(5)
    assert KEY not in shown(ended.value)
    session.close()
    endpoint = connect(serve(sg.Mock([ValueError(f"no {KEY}")])), KEY)
    session = endpoint.open()
    with pytest.raises(RequestError, match="no …") as failed:
        session.generate(GREEDY).result(5)
    assert KEY not in shown(failed.value)
    session.close()
    assert KEY not in repr(endpoint._address)


def test_an_endpoint_that_is_let_go_leaves_nothing_to_be_done_at_exit(
    server: Any, settles: Settles, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[Any] = []
    monkeypatch.setattr(atexit, "register", waiting.append)
    monkeypatch.setattr(atexit, "unregister", waiting.remove)
    for is_closed in (False, True):
        endpoint = sg.RuntimeEndpoint(server.url)
        assert len(waiting) == 1
        if is_closed:
            endpoint.close()
        del endpoint
        gc.collect()
        assert waiting == []
    assert settles(lambda: "sgdsl-network" not in [thread.name for thread in threading.enumerate()], 2)


def test_nobody_is_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(sg.EndpointError, match="cannot connect"):
        sg.RuntimeEndpoint(f"http://127.0.0.1:{port}")


def test_a_server_that_never_says_hello() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(sg.EndpointError, match=r"connect_timeout=0\.2"):
            sg.RuntimeEndpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", connect_timeout=0.2)


def test_a_server_that_gives_no_sign_of_life_is_dead(serve: Serve, connect: Connect, gate: Any) -> None:
    endpoint = connect(serve(deaf=True), heartbeat=0.2)
    session = endpoint.open()
    session.append("x")
    started = time.monotonic()
    with pytest.raises(sg.EndpointError, match="PONG"):
        session.generate(GREEDY).result(5)
    assert time.monotonic() - started < 2
    session.close()


def test_a_slow_server_is_waited_for(serve: Serve, connect: Connect) -> None:
    endpoint = connect(serve(sg.Mock(latency=1.0)), heartbeat=0.6)
    session = endpoint.open()
    with pytest.raises(TimeoutError):
        session.generate(GREEDY).result(0.05)
    assert session.generate(GREEDY).result(5).text == "mock"
    session.close()


@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        ("{", "not understood"),
        ("[]", "did not say hello"),
        ('[{"type":"Counted","call":1,"num_tokens":2}]', "did not say hello"),
        ('[{"type":"Hello","model":"x","version":99}]', "version 99"),
        ('[{"type":"Hello","model":7}]', r"frame\[0\].model: Expected `str`, got `int`"),
    ],
)
def test_a_greeting_that_is_none(serve: Serve, connect: Connect, greeting: str, message: str) -> None:
    with pytest.raises(sg.EndpointError, match=message):
        connect(serve(greeting=greeting))


@pytest.mark.parametrize(
    "answer",
    [
        "nonsense",
        "[" * 100_000,
        '[{"type":"Strange"}]',
        '[{"type":"Generated","call":2}]',
        '[{"type":"Counted","call":2,"num_tokens":1}]',
        '[{"type":"Rows","call":2,"logprobs":[]}]',
        '[{"type":"Hello","model":"again"}]',
        '[{"type":"Refused","problem":{"type":"Problem","kind":"ProtocolError","message":"go away"}}]',
    ],
)
def test_an_answer_that_is_none_ends_the_connection(serve: Serve, connect: Connect, answer: str) -> None:
    endpoint = connect(serve(answer_all=answer))
    session = endpoint.open()
    handles = [session.generate(GREEDY), session.generate(GREEDY)]
    for handle in handles:
        with pytest.raises(sg.EndpointError):
            handle.result(5)
    session.close()


def test_a_client_that_makes_no_sense_is_refused(endpoint: sg.RuntimeEndpoint) -> None:
    session = endpoint.open()
    endpoint._connection.send(["no message"])  # type: ignore[list-item]
    with pytest.raises(sg.EndpointError, match=r"ended the connection: .*frame"):
        session.generate(GREEDY).result(5)
    session.close()


Wrong = Callable[[Any], object]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda session: session.hint("soon"), "str: Expected `object`, got `str`"),
        (lambda session: session.truncate("x"), r"Truncate\.num_tokens: Expected `int`, got `str`"),
        (lambda session: session.append("a\ud800"), r"Append: '\\ud800' is half of a character"),
        (lambda session: session.append(["a"]), "input_ids='a'"),
        (lambda session: session.append([1 << 70]), "input_ids="),
        (lambda session: session.append("é" * (1 << 24)), r"append='\d+ bytes' is not allowed: at most"),
        (lambda session: session.score(["a\udfff"], lambda rows: 0), "half of a character"),
        (lambda session: session.score(["a"], lambda rows: 0, priority="high"), r"Score\.priority: Expected `int`"),
        (lambda session: session.generate(GREEDY, top_logprobs=0.5), r"Generate\.top_logprobs"),
        (lambda session: (session.label(7), session.generate(GREEDY)), r"Generate\.name: Expected `str . null`"),
    ],
)
def test_what_the_server_could_not_read_is_refused_and_harms_nobody(
    endpoint: sg.RuntimeEndpoint, server: Any, wrong: Wrong, message: str
) -> None:
    session, other = endpoint.open(), endpoint.open()
    other.append("x")
    with pytest.raises((sg.InvalidArgument, InvalidParameter), match=message):
        wrong(session)
    session.label(None)
    assert session.generate(GREEDY).result(10).token_ids
    assert other.generate(GREEDY).result(10).token_ids
    assert len(server.peers) == 1
    for one in (session, other):
        one.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda endpoint: endpoint.open(namespace=5), r"Open\.namespace: Expected `str`"),
        (lambda endpoint: endpoint.remember(["a\ud800"]), "half of a character"),
        (lambda endpoint: endpoint.tokenize(7), r"Tokenize\.texts\[0\]: Expected `str`"),
        (lambda endpoint: endpoint.compile_ahead([Choice(("a\ud800",))]), "half of a character"),
        (lambda endpoint: endpoint.token_text(-1), "no token -1"),
        (lambda endpoint: endpoint.token_text("a"), "no token 'a'"),
    ],
)
def test_questions_that_the_server_could_not_read_are_refused_too(
    endpoint: sg.RuntimeEndpoint, server: Any, wrong: Wrong, message: str
) -> None:
    with pytest.raises((sg.InvalidArgument, sg.EndpointError), match=message):
        wrong(endpoint)
    assert endpoint.tokenize("x")
    assert len(server.peers) == 1


def test_a_question_that_is_not_answered_in_time_is_forgotten(serve: Serve, connect: Connect) -> None:
    endpoint = connect(serve(deaf=False), connect_timeout=0.3)
    with pytest.raises(sg.EndpointError, match=r"no answer within 0\.3 s"):
        endpoint.tokenize("x")
    assert endpoint._connection._calls == {}


@pytest.mark.parametrize("index", [2, -1, "x", None])
def test_a_choice_that_is_none_of_them_fails_its_call_alone(
    endpoint: sg.RuntimeEndpoint, server: Any, index: Any
) -> None:
    session, other = endpoint.open(), endpoint.open()
    with pytest.raises(InvalidParameter, match="choose="):
        session.score(["a", "b"], lambda rows: index).result(10)
    other.append("x")
    assert other.generate(GREEDY).result(10).token_ids
    assert len(server.peers) == 1
    for one in (session, other):
        one.close()


def test_what_comes_after_the_end_fails_here(endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    for end, message in (("close", "the session was closed"), ("cancel", "the session was cancelled")):
        session: Any = endpoint.open()
        session.append("x")
        session.flush()
        getattr(session, end)()
        session.append("y")
        (fork,) = session.fork(1)
        with pytest.raises(RequestCancelled, match=message):
            session.generate(GREEDY).result(5)
        with pytest.raises(RequestCancelled, match="the session was cancelled"):
            fork.generate(GREEDY).result(5)
        for one in (fork, session):
            one.cancel()
            one.close()
    assert not any('"Fork"' in frame for frame in server.frames)
    other = endpoint.open()
    other.append("x")
    assert other.generate(GREEDY).result(10).token_ids
    other.close()
    assert len(server.peers) == 1


def test_much_at_once_goes_in_several_frames(serve: Serve, connect: Connect) -> None:
    server = serve(sg.Mock())
    endpoint = connect(server)
    sessions = [endpoint.open() for _ in range(20)]
    connection = endpoint._connection
    held = threading.Event()
    connection._loop.call_soon_threadsafe(held.wait, 10)  # so that all of it is there at the same time
    for session in sessions:
        session.append("x" * 300_000)
    counts = [session.mark() for session in sessions]
    for session in sessions:
        session.flush()
    held.set()
    assert [count.result(10) for count in counts] == [1] * 20
    assert 2 <= len([frame for frame in server.frames if len(frame) > 300_000]) < 20
    for session in sessions:
        session.close()


def test_closing_ends_what_runs_and_the_thread(settles: Settles, server: Any, connect: Connect) -> None:
    endpoint = connect(server)
    session = endpoint.open()
    session.append("x")
    handle = session.generate(LONG)
    session.flush()
    endpoint.close()
    endpoint.close()
    with pytest.raises(sg.EndpointError, match="closed"):
        handle.result(1)
    with pytest.raises(sg.EndpointError, match="closed"):
        endpoint.open()
    session.close()
    assert settles(lambda: "sgdsl-network" not in [thread.name for thread in threading.enumerate()], 2)


def test_an_endpoint_nobody_holds_is_closed(settles: Settles, server: Any) -> None:
    endpoint = sg.RuntimeEndpoint(server.url)
    assert "sgdsl-network" in [thread.name for thread in threading.enumerate()]
    del endpoint
    gc.collect()
    assert settles(lambda: "sgdsl-network" not in [thread.name for thread in threading.enumerate()], 2)


def test_a_process_that_closes_nothing_ends_quietly(serve: Serve) -> None:
    code = f"""
import sgdsl as sg
endpoint = sg.RuntimeEndpoint({serve(sg.Mock(latency=30)).url!r})
session = endpoint.open()
session.append("x")
sg.function(lambda s: s.__iadd__("a" + sg.gen("x"))).run(backend=endpoint, stream=True)
print("over")
"""
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", code]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "localhost:1"}, "url="),
        ({"url": "http://x:99999"}, "url="),
        ({"url": "http://[x"}, "url="),
        ({"url": "http://:80"}, "url="),
        ({"url": "http://x/?a=b"}, "url=.*without a query"),
        ({"url": "http://x", "api_key": "key\n"}, r"api_key \(which is not shown\)"),
        ({"url": "http://x", "api_key": b"key"}, "api_key of type bytes"),
        ({"url": "http://x", "heartbeat": 0}, "heartbeat=0"),
        ({"url": "http://x", "connect_timeout": float("inf")}, "connect_timeout=inf"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sg.InvalidArgument, match=message):
        sg.RuntimeEndpoint(**arguments)
