from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import pytest

import sgdsl as sg
from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded, InvalidParameter, RequestCancelled
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams
from runtime.session import Session
from sgdsl.backends.engine import EngineBackend
from sgdsl.choices import ChoicesMethod

Serve = Callable[..., Any]
Connect = Callable[..., sg.RuntimeEndpoint]
Settles = Callable[..., bool]
GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)
LONG = SamplingParams(max_new_tokens=900, temperature=0.0, ignore_eos=True)


@pytest.fixture(autouse=True)
def _nothing_is_left(tiny_engine: Engine, settles: Settles, is_idle: Callable[[Engine], bool]) -> Iterator[None]:
    yield
    assert settles(lambda: is_idle(tiny_engine))


def writing(expr: Any) -> sg.Program:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += expr

    return program


def sums(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(row) for row in rows]


CUSTOM = ChoicesMethod("my_own", sums)
LEAST = ChoicesMethod("least", lambda rows: [-one for one in sums(rows)], needs="unconditional")


@sg.function
def everything(s: sg.ProgramState, word: str) -> Any:
    s += sg.system("Be brief.") + sg.user(f"Hello {word} é")
    s += sg.assistant(sg.gen("a", 8, stop="zz") + sg.select("b", ["x", "yy", "x y"]))
    s += sg.select("c", ["one", "two"], choices_method=sg.greedy_token_selection) + sg.select(
        "d", ["red", "blue"], temperature=2.0, seed=7, choices_method=CUSTOM
    )
    s += sg.select("j", ["up", "down"], choices_method=sg.unconditional_likelihood_normalized, priority=2)
    s += sg.select("k", ["in", "out"], choices_method=LEAST)
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
    return [s[name] for name in "abcdeghijk"], s.tokens(), s.text()


def assert_near(found: Any, wanted: Any) -> None:
    """The same but for the last digits of numbers, which differ with what was cached: attention here is torch's."""
    if isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_near(one, other)
    else:
        assert found == (pytest.approx(wanted, abs=1e-4) if isinstance(wanted, float) else wanted)


def test_a_program_is_the_same_here_and_there(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint) -> None:
    direct = everything.run("you", backend=tiny_engine, temperature=0)
    remote = everything.run("you", backend=endpoint, temperature=0)
    assert remote.ret_value == direct.ret_value
    direct_meta, meta = direct.get_meta_info("g"), remote.get_meta_info("g")
    for key in ("output_token_logprobs", "output_top_logprobs", "input_token_logprobs", "token_ids"):
        assert_near(meta[key], direct_meta[key])
    assert_near(remote.get_meta_info("b")["token_logprobs"], direct.get_meta_info("b")["token_logprobs"])
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


def test_a_script_needs_no_answer_to_go_on(
    endpoint: sg.RuntimeEndpoint, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints: list[Hint] = []
    monkeypatch.setattr(Session, "hint", lambda session, hint: hints.append(hint))
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
    assert hints == [Hint(remaining_calls=3, gang=1)]
    script = json.loads(server.frames[0])[0]
    kinds = [op["type"] for op in script["ops"]]
    assert kinds == ["Open", "Append", "Hint", "Generate", "Fork"]
    for one in (session, *forks):
        one.close()


def test_a_batch_shares_one_connection(
    settles: Settles, tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any
) -> None:
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


def test_a_timeout_and_a_cancellation_free_the_server(
    is_idle: Callable[[Engine], bool], settles: Settles, tiny_engine: Engine, endpoint: sg.RuntimeEndpoint
) -> None:
    program = writing("x" + sg.gen("y", 900, ignore_eos=True))
    with pytest.raises(sg.ProgramTimeout):
        program.run(backend=endpoint, timeout=0.1)
    state = program.run(backend=endpoint, stream=True)
    assert settles(lambda: tiny_engine.stats()["running"] > 0)
    state.cancel()
    with pytest.raises(sg.ProgramCancelled):
        state.text()
    assert settles(lambda: is_idle(tiny_engine), 2)


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


def test_a_session_nobody_holds_is_given_up(
    is_idle: Callable[[Engine], bool], settles: Settles, tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any
) -> None:
    session = endpoint.open()
    session.append("x")
    assert session.generate(GREEDY).result(10).finish_reason == "length"
    (fork,) = session.fork(1)
    del session, fork
    gc.collect()
    assert settles(lambda: is_idle(tiny_engine))
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
    endpoint.remember(["añb", "x", "yy", "x"])
    assert endpoint.tokenize("añb") == tokens
    assert endpoint.count_tokens("yy") == 2
    assert endpoint.token_text(tokens[0]) == "a"
    assert endpoint.token_text(2) == "</s>"
    assert len(server.frames) == 3
    with pytest.raises(sg.EndpointError, match="no token 99999"):
        endpoint.token_text(99999)


def test_a_compiled_program_compiles_and_tokenizes_ahead(
    tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any
) -> None:
    @sg.function
    def program(s: sg.ProgramState, word: str) -> None:
        s += word + sg.gen("x", 8, regex="[a-c]{2}d", temperature=0) + "Constant text. " + sg.gen("y", 1)

    remote, direct = (program.compile().run_batch([("a",)], backend=one) for one in (endpoint, tiny_engine))
    assert remote[0]["x"] == direct[0]["x"]
    assert any('"CompileAhead"' in frame and "[a-c]{2}d" in frame for frame in server.frames)
    assert any('"Tokenize"' in frame and "Constant text. " in frame for frame in server.frames)


def test_what_the_server_is(tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any) -> None:
    assert endpoint.capabilities.context_length == 1024
    assert endpoint.capabilities.hints
    assert "Regex" in endpoint.capabilities.constraints
    assert endpoint.model == "tiny"
    assert endpoint.fingerprint == EngineBackend.of(tiny_engine).fingerprint


def test_a_mock_behind_the_server_knows_names(settles: Settles, serve: Serve, connect: Connect) -> None:
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


def test_forks_are_concatenated_with_what_they_hold_by_then(serve: Serve, connect: Connect) -> None:
    mock = sg.Mock()
    endpoint = connect(serve(mock))
    session: Any = endpoint.open()
    session.append("p")
    forks = session.fork(2)
    for text, fork in zip((" one", " two"), forks, strict=True):
        fork.append(text)
    count = session.concat(forks)
    forks[0].append(" more")
    assert count.result(5) == 2
    assert session.generate(GREEDY).result(5).text == "mock"
    assert mock.calls[0].prompt == "p one two"
    for one in (session, *forks):
        one.close()


@sg.function
def appended(s: sg.ProgramState, method: ChoicesMethod) -> Any:
    s += "Parts: "
    forks = s.fork(3)
    forks += lambda i: f"{i} is " + sg.gen("a", 4) + sg.select("b", ["x", "yy"], choices_method=method)
    forks.join("concat_and_append")
    s += " So: " + sg.gen("c", 6)
    point = s.checkpoint()
    inner = s.fork(2)
    inner += sg.gen("d", 2)
    inner.join("concat_and_append")
    s.rollback(point)
    s += sg.gen("e", 6)
    return [s[name] for name in "abce"], s.tokens(), s.text(), s.get_meta_info("a")[0]["attention_recomputed"]


@pytest.mark.parametrize("method", [sg.token_length_normalized, CUSTOM], ids=["there", "here"])
@pytest.mark.parametrize("compiled", [False, True])
def test_parts_are_appended_as_in_process(
    tiny_engine: Engine, endpoint: sg.RuntimeEndpoint, server: Any, method: ChoicesMethod, compiled: bool
) -> None:
    direct = appended.run(method, backend=tiny_engine, temperature=0)
    bound = appended.bind(method=method)
    remote = (bound.compile(partial=True) if compiled else bound).run(backend=endpoint, temperature=0)
    assert remote.ret_value == direct.ret_value
    assert any('"type":"Concat"' in frame for frame in server.frames)


def test_a_concatenation_that_makes_no_sense_fails_the_call_alone(endpoint: sg.RuntimeEndpoint) -> None:
    session: Any = endpoint.open()
    other, (fork,) = endpoint.open(), session.fork(1)
    for wrong in ([other], [fork, fork]):
        with pytest.raises(InvalidParameter, match="sessions"):
            session.concat(wrong).result(10)
        session.close()
        session = endpoint.open()
        (fork,) = session.fork(1)
        other.append("x")
    assert other.mark().result(10) == 2
    for one in (session, fork, other):
        one.close()


def test_a_fork_that_fails_fails_what_it_is_appended_to(endpoint: sg.RuntimeEndpoint) -> None:
    session: Any = endpoint.open()
    forks = session.fork(2)
    forks[1].append([9999])
    with pytest.raises(InvalidParameter, match="input_ids=9999"):
        session.concat(forks).result(10)
    for one in (session, *forks):
        one.close()
    session = endpoint.open()
    forks = session.fork(2)
    forks[1].append("x")
    forks[1].generate(LONG)
    count = session.concat(forks)
    session.cancel()
    with pytest.raises(RequestCancelled):
        count.result(1)
    for one in (session, *forks):
        one.cancel()
        one.close()
