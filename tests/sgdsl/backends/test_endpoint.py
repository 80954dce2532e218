from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import pytest

import sgdsl as sg
from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded, InvalidParameter, RequestCancelled
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams
from sgdsl.choices import ChoicesMethod

Serve = Callable[..., Any]
Connect = Callable[..., sg.RuntimeEndpoint]
GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)
LONG = SamplingParams(max_new_tokens=900, temperature=0.0, ignore_eos=True)


@pytest.fixture
def server(tiny_engine: Engine, serve: Serve) -> Any:
    return serve(tiny_engine)


@pytest.fixture
def endpoint(server: Any, connect: Connect) -> sg.RuntimeEndpoint:
    return connect(server)


@pytest.fixture(autouse=True)
def _nothing_is_left(tiny_engine: Engine) -> Iterator[None]:
    yield
    assert settles(lambda: idle(tiny_engine))


def idle(engine: Engine) -> bool:
    ledger = engine.stats()["ledger"]
    return bool(ledger["session"] == 0 and ledger["request"] == 0)


def settles(check: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.01)
    return check()


def writing(expr: Any) -> sg.Program:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += expr

    return program


def sums(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(row) for row in rows]


CUSTOM = ChoicesMethod("my_own", sums)


@sg.function
def everything(s: sg.ProgramState, word: str) -> Any:
    s += sg.system("Be brief.") + sg.user(f"Hello {word} é")
    s += sg.assistant(sg.gen("a", 8, stop="zz") + sg.select("b", ["x", "yy", "x y"]))
    s += sg.select("c", ["one", "two"], choices_method=sg.greedy_token_selection) + sg.select(
        "d", ["red", "blue"], temperature=2.0, seed=7, choices_method=CUSTOM
    )
    forks = s.fork(3)
    forks += lambda i: f"{i}: " + sg.gen("e", 4, regex="[0-9]+")
    forks.join()
    before = s.text()
    point = s.checkpoint()
    s += "to be undone" + sg.gen("f", 4)
    s["f"]
    s.rollback(point)
    assert s.text() == before
    s += sg.gen("g", 3, return_logprob=True, top_logprobs_num=2, logprob_start_len=3, return_text_in_logprobs=True)
    s += sg.gen("h", type=Literal[1, 22]) + sg.gen("i", 3, n=2, seed=5, temperature=1.5)
    return [s[name] for name in "abcdeghi"], s.tokens(), s.text()


def test_a_program_is_the_same_here_and_there(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint) -> None:
    direct = everything.run("you", backend=tiny_engine, temperature=0)
    remote = everything.run("you", backend=endpoint, temperature=0)
    assert remote.ret_value == direct.ret_value
    direct_meta, meta = direct.get_meta_info("g"), remote.get_meta_info("g")
    for key in ("output_token_logprobs", "output_top_logprobs", "input_token_logprobs", "token_ids"):
        assert meta[key] == direct_meta[key]
    assert remote.get_meta_info("b")["token_logprobs"] == direct.get_meta_info("b")["token_logprobs"]
    assert remote.messages() == direct.messages()


def test_a_select_by_a_known_method_is_chosen_by_the_server_and_any_other_here(
    endpoint: sg.RuntimeEndpoint, server: Any
) -> None:
    session = endpoint.open()
    session.append("Say ")
    threads: list[str] = []

    def last(rows: Sequence[Sequence[float]]) -> int:
        threads.append(threading.current_thread().name)
        return len(rows) - 1

    custom = session.score(["a", "bb", "c"], last)
    after = session.tokens()
    result = custom.result(10)
    assert result.index == 2
    assert [len(row) for row in result.logprobs] == [1, 2, 1]
    assert "".join(endpoint.token_text(token) for token, _ in after.result(10)) == "Say c"
    assert threads == ["sgdsl-network"]
    session.close()
    writing(sg.select("x", ["a", "b"], temperature=1.0, seed=3)).run(backend=endpoint)
    frames = "".join(server.frames)
    assert '"choosing":{"type":"Choosing","method":"token_length_normalized","temperature":1.0,"seed":3}' in frames
    assert frames.count('"type":"Chosen"') == 1


def test_a_choice_that_raises_fails_the_session(endpoint: sg.RuntimeEndpoint) -> None:
    session = endpoint.open()

    def wrong(rows: Sequence[Sequence[float]]) -> int:
        raise ArithmeticError("mine")

    score, after = session.score(["a", "b"], wrong), session.generate(GREEDY)
    with pytest.raises(ArithmeticError, match="mine"):
        score.result(10)
    with pytest.raises(RequestCancelled):
        after.result(10)
    session.close()


def test_a_script_needs_no_answer_to_go_on(endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    session = endpoint.open(namespace="mine", program="p")
    session.append("one")
    session.hint(Hint(remaining_calls=3, gang=1))  # type: ignore[attr-defined]
    first = session.generate(GREEDY)
    forks = session.fork(2)
    for fork in forks:
        fork.append(" more")
    seconds = [fork.generate(GREEDY) for fork in forks]
    assert seconds[0].result(10).token_ids == seconds[1].result(10).token_ids
    assert first.done()
    assert server.hints == [Hint(remaining_calls=3, gang=1)]
    script = json.loads(server.frames[0])[0]
    kinds = [op["type"] for op in script["ops"]]
    assert kinds == ["Open", "Append", "Hint", "Generate", "Fork"]
    for one in (session, *forks):
        one.close()


def test_a_batch_shares_one_connection(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    @sg.function
    def short(s: sg.ProgramState, number: int) -> Any:
        s += f"Item {number}: " + sg.gen("x", 6) + sg.select("y", ["a", "b"])
        return s["x"], s["y"]

    items = [(number,) for number in range(64)]
    remote = short.run_batch(items, backend=endpoint, temperature=0)
    direct = short.run_batch(items, backend=tiny_engine, temperature=0)
    assert [state.ret_value for state in remote] == [state.ret_value for state in direct]
    assert len(server.peers) == 1
    assert settles(lambda: not server.peers[0].sessions)


async def test_async_programs_and_streams(endpoint: sg.RuntimeEndpoint) -> None:
    @sg.function
    async def talk(s: sg.ProgramState, number: int) -> Any:
        s += f"{number}" + sg.gen("x", 12, temperature=0, ignore_eos=True)
        chunks = [chunk async for chunk in s.text_async_iter("x")]
        assert "".join(chunks) == await s.get("x")
        return len(chunks)

    states = await asyncio.gather(*(talk.arun(number, backend=endpoint) for number in range(8)))
    assert max(state.ret_value for state in states) > 1


def test_a_plain_stream_comes_in_pieces(endpoint: sg.RuntimeEndpoint) -> None:
    program = writing("x" + sg.gen("y", 20, temperature=0, ignore_eos=True))
    state = program.run(backend=endpoint, stream=True)
    pieces = list(state.text_iter("y"))
    assert len(pieces) > 2
    assert "".join(pieces) == state["y"]


def test_a_timeout_and_a_cancellation_free_the_server(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint) -> None:
    program = writing("x" + sg.gen("y", 900, ignore_eos=True))
    with pytest.raises(sg.ProgramTimeout):
        program.run(backend=endpoint, timeout=0.1)
    state = program.run(backend=endpoint, stream=True)
    assert settles(lambda: tiny_engine.stats()["running"] > 0)
    state.cancel()
    with pytest.raises(sg.ProgramCancelled):
        state.text()
    assert settles(lambda: idle(tiny_engine), 2)


def test_cancelling_ends_what_waits_at_once(endpoint: sg.RuntimeEndpoint) -> None:
    session = endpoint.open()
    session.append("x")
    first, second = session.generate(LONG), session.generate(LONG)
    session.flush()
    session.cancel()
    assert first.done()
    assert second.done()
    with pytest.raises(RequestCancelled):
        session.generate(GREEDY).result(1)
    session.close()


def test_a_session_nobody_holds_is_given_up(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    session = endpoint.open()
    session.append("x")
    assert session.generate(GREEDY).result(10).finish_reason == "length"
    (fork,) = session.fork(1)
    del session, fork
    gc.collect()
    assert settles(lambda: idle(tiny_engine))
    assert settles(lambda: not server.peers[0].sessions)


def test_errors_are_those_of_the_engine(endpoint: sg.RuntimeEndpoint) -> None:
    session = endpoint.open()
    session.append([0, 9999])
    with pytest.raises(InvalidParameter, match="input_ids=9999") as caught:
        session.generate(GREEDY).result(10)
    assert (caught.value.field, caught.value.value) == ("input_ids", 9999)
    with pytest.raises(InvalidParameter):
        session.mark().result(10)
    session.close()
    session = endpoint.open()
    session.append("word " * 400)
    with pytest.raises(ContextLengthExceeded):
        session.generate(GREEDY).result(10)
    session.close()
    session = endpoint.open()
    session.truncate(3)
    (fork,) = session.fork(1)
    with pytest.raises(InvalidParameter, match="num_tokens=3"):
        fork.generate(GREEDY).result(10)
    fork.close()
    session.close()
    program = writing(sg.gen("x", 4, lark="start: gone"))
    with pytest.raises(sg.ProgramError, match=r'gen "x".*gone'):
        program.run(backend=endpoint)


def test_what_can_be_refused_here_is(endpoint: sg.RuntimeEndpoint) -> None:
    session = endpoint.open()
    with pytest.raises(InvalidParameter, match="input_ids"):
        session.append([1, "a"])  # type: ignore[list-item]
    with pytest.raises(InvalidParameter, match="choices"):
        session.score([""], lambda rows: 0)
    with pytest.raises(InvalidParameter, match="n=0"):
        session.fork(0)
    with pytest.raises(InvalidParameter, match="sessions"):
        session.concat([sg.Mock().open()])  # type: ignore[attr-defined]
    session.close()


def test_tokens_and_their_texts(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    tokens = endpoint.tokenize("añb")
    assert tokens == tiny_engine.tokenizer.encode("añb")
    assert endpoint.tokenize("añb") == tokens
    assert endpoint.token_text(tokens[0]) == "a"
    assert endpoint.token_text(2) == "</s>"
    assert len(server.frames) == 2
    with pytest.raises(sg.EndpointError, match="no token 99999"):
        endpoint.token_text(99999)


def test_what_the_server_is(endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    assert endpoint.capabilities.context_length == 1024
    assert endpoint.capabilities.hints
    assert "Regex" in endpoint.capabilities.constraints
    assert endpoint.model == "tiny"
    assert server.url in endpoint.fingerprint


def test_a_mock_behind_the_server_knows_names(serve: Serve, connect: Connect) -> None:
    mock = sg.Mock({"colour": "blue", "team": "infra"}, latency=0.01)
    endpoint = connect(serve(mock))

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += sg.user("Colour?") + sg.assistant(sg.gen("colour"))
        s += sg.user("Team?") + sg.assistant(sg.select("team", ["billing", "infra"]))
        return s["colour"], s["team"]

    state = program.run(backend=endpoint)
    assert state.ret_value == ("blue", "infra")
    assert state.text() == program.run(backend=sg.Mock({"colour": "blue", "team": "infra"})).text()
    assert settles(lambda: mock.num_open == 0)


# what goes wrong


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
    program = writing("x" + sg.gen("y", 900, ignore_eos=True))
    state = program.run(backend=endpoint, stream=True)
    next(state.text_iter("y"))
    server.crash()
    with pytest.raises(sg.ProgramError) as caught:
        state.text()
    assert isinstance(caught.value.__cause__, sg.EndpointError)


def test_a_server_that_was_stopped_is_an_error_for_new_sessions_too(endpoint: sg.RuntimeEndpoint, server: Any) -> None:
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
    endpoint = connect(serve(sg.Mock(gate), deaf=True), heartbeat=0.2)
    session = endpoint.open()
    session.append("x")
    started = time.monotonic()
    with pytest.raises(sg.EndpointError, match="PONG"):
        session.generate(GREEDY).result(5)
    assert time.monotonic() - started < 2
    session.close()


def test_a_slow_server_is_waited_for(serve: Serve, connect: Connect) -> None:
    endpoint = connect(serve(sg.Mock(["late"]), delay=0.5), heartbeat=0.1)
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
        ('[{"type":"Hello","model":7}]', "frame.*model: 7 is not str"),
    ],
)
def test_a_greeting_that_is_none(serve: Serve, connect: Connect, greeting: str, message: str) -> None:
    with pytest.raises(sg.EndpointError, match=message):
        connect(serve(sg.Mock(), greeting=greeting))


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
    endpoint = connect(serve(sg.Mock(), answer_all=answer))
    session = endpoint.open()
    handles = [session.generate(GREEDY), session.generate(GREEDY)]
    for handle in handles:
        with pytest.raises(sg.EndpointError):
            handle.result(5)
    session.close()


def test_a_client_that_makes_no_sense_is_refused(endpoint: sg.RuntimeEndpoint) -> None:
    session = endpoint.open()
    session.hint("no hint")  # type: ignore[attr-defined]
    with pytest.raises(sg.EndpointError, match="ended the connection: frame"):
        session.generate(GREEDY).result(5)
    session.close()


def test_closing_ends_what_runs_and_the_thread(server: Any, connect: Connect) -> None:
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


def test_an_endpoint_nobody_holds_is_closed(server: Any) -> None:
    endpoint = sg.RuntimeEndpoint(server.url)
    assert "sgdsl-network" in [thread.name for thread in threading.enumerate()]
    del endpoint
    gc.collect()
    assert settles(lambda: "sgdsl-network" not in [thread.name for thread in threading.enumerate()], 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "localhost:1"}, "url="),
        ({"url": "http://x", "heartbeat": 0}, "heartbeat=0"),
        ({"url": "http://x", "connect_timeout": float("inf")}, "connect_timeout=inf"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sg.InvalidArgument, match=message):
        sg.RuntimeEndpoint(**arguments)
