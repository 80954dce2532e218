from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from grammars.spec import Choice
from runtime.engine import Engine
from runtime.errors import RequestCancelled
from runtime.sampling.params import SamplingParams
from sgdsl.process import as_backend

GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)
Make = Callable[..., sg.Cached]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[sg.Cached] = []

    def start(backend: Any, path: str = "cache.db", **settings: Any) -> sg.Cached:
        made.append(sg.Cached(backend, tmp_path / path, **settings))
        return made[-1]

    yield start
    for cached in made:
        cached.close()


@sg.function
def everything(s: sg.ProgramState, word: str) -> Any:
    s += sg.user(f"Hello {word} é") + sg.assistant(sg.gen("a", 6, stop="zz") + sg.select("b", ["x", "yy", "x y"]))
    s += sg.select("g", ["up", "down"], choices_method=sg.unconditional_likelihood_normalized, priority=2)
    forks = s.fork(3)
    forks += lambda i: f"{i}: " + sg.gen("c", 4, regex="[0-9]+")
    forks.join()
    point = s.checkpoint()
    s += "to be undone" + sg.gen("d", 4)
    s["d"]
    s.rollback(point)
    s += sg.gen("e", 3, return_logprob=True, top_logprobs_num=2) + sg.gen("f", 4, n=2, seed=5, temperature=1.5)
    return [s[name] for name in "abcefg"], s.text()


def test_a_second_run_is_the_same_and_computes_nothing(tiny_engine: Engine, make: Make) -> None:
    direct = everything.run("you", backend=tiny_engine, temperature=0)
    cached = make(tiny_engine)
    first = everything.run("you", backend=cached, temperature=0)
    assert first.ret_value == direct.ret_value
    assert cached.hits == 0
    before = tiny_engine.stats()["steps"]
    again = make(tiny_engine)
    second = everything.run("you", backend=again, temperature=0)
    assert second.ret_value == direct.ret_value
    assert (again.hits, again.misses) == (cached.misses, 0)
    assert second.get_meta_info("e")["output_top_logprobs"] == first.get_meta_info("e")["output_top_logprobs"]
    assert second.get_meta_info("a")["cached_tokens"] == second.get_meta_info("a")["prompt_tokens"]
    probes = 24  # at most so many steps told what the model is
    assert tiny_engine.stats()["steps"] - before <= probes


def test_after_hits_a_miss_goes_on_with_the_very_tokens(tiny_engine: Engine, make: Make) -> None:
    @sg.function
    def program(s: sg.ProgramState, last: int) -> Any:
        s += "Begin th" + sg.select("a", ["ere", "is", "e"]) + " and " + sg.gen("b", 6)
        point = s.checkpoint()
        s += "undone" + sg.gen("c", 2)
        s.rollback(point)
        s += " then" + sg.gen("d", last)
        return [token for token, _ in s.tokens()]

    cached = make(tiny_engine)
    program.run(3, backend=cached, temperature=0)
    hits = cached.hits
    state = program.run(5, backend=cached, temperature=0)
    assert cached.hits == hits + 4
    assert state.ret_value == program.run(5, backend=tiny_engine, temperature=0).ret_value


def test_only_what_is_the_same_again_is_kept(make: Make) -> None:
    def ask(cached: sg.Cached, prompt: str = "p", namespace: str = "", **params: Any) -> str:
        session = cached.open(namespace=namespace)
        session.append(prompt)
        text = session.generate(replace(GREEDY, **params)).result(5).text
        session.close()
        return text

    cached = make(sg.Mock([str(number) for number in range(40)]))
    assert ask(cached) == "0"
    assert ask(cached) == "0"
    assert ask(cached, prompt="q") == "1"
    assert ask(cached, namespace="other") == "2"
    assert ask(cached, max_new_tokens=5) == "3"
    assert ask(cached, temperature=1.0) == "4"
    assert ask(cached, temperature=1.0) == "5"
    assert ask(cached, temperature=1.0, seed=1) == "6"
    assert ask(cached, temperature=1.0, seed=1) == "6"
    assert ask(cached, temperature=1.0, seed=2) == "7"
    assert ask(cached, constraint=Choice(("8", "9"))) == "8"
    assert ask(cached, token_healing=True) == "9"
    assert ask(cached, token_healing=True) == "10"
    everything_kept = make(cached.backend, mode="all")
    assert ask(everything_kept) == "0"
    assert ask(everything_kept, temperature=1.0) == "11"
    assert ask(everything_kept, temperature=1.0) == "11"
    assert ask(make(cached.backend, fingerprint="another model")) == "12"


def test_how_text_was_appended_counts(make: Make) -> None:
    cached = make(sg.Mock(["a", "b"]))
    for parts, expected in ((["one two"], "a"), (["one ", "two"], "b"), (["one two"], "a")):
        session = cached.open()
        for part in parts:
            session.append(part)
        assert session.generate(GREEDY).result(5).text == expected
        session.close()


def test_a_select_is_chosen_anew_from_kept_scores(make: Make) -> None:
    mock = sg.Mock([[[-1.0], [-1.0], [-1.0]]])
    cached = make(mock)
    program = sg.function(lambda s: s.__iadd__("p" + sg.select("x", ["a", "b", "c"], temperature=1.0)))
    assert {program.run(backend=cached)["x"] for _ in range(40)} == {"a", "b", "c"}
    assert len(mock.calls) == 1


def test_a_hit_is_streamed_in_one_chunk(make: Make) -> None:
    cached = make(sg.Mock({"x": "one two three"}))
    program = sg.function(lambda s: s.__iadd__("p" + sg.gen("x", temperature=0)))
    first = list(program.run(backend=cached, stream=True).text_iter("x"))
    second = list(program.run(backend=cached, stream=True).text_iter("x"))
    assert first == ["one", " two", " three"]
    assert second == ["one two three"]


def test_the_backend_is_not_touched_by_hits_and_is_given_up_after_misses(make: Make) -> None:
    mock = sg.Mock({"x": "1", "y": ["2", "3"]})
    cached = make(mock)

    @sg.function
    def program(s: sg.ProgramState, temperature: float) -> Any:
        s += sg.gen("x", temperature=0)
        with s.copy() as copied:
            copied += " " + sg.gen("y", temperature=temperature)
        return s["x"] + s["y"]

    assert program.run(0.0, backend=cached).ret_value == "12"
    assert program.run(0.0, backend=cached).ret_value == "12"
    assert len(mock.calls) == 2
    assert program.run(1.0, backend=cached).ret_value == "13"
    assert [call.prompt for call in mock.calls] == ["", "1 ", "1 "]
    assert all(call.name for call in mock.calls)
    deadline = time.monotonic() + 5
    while mock.num_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mock.num_open == 0


def test_failures_are_not_kept_and_end_what_follows(make: Make) -> None:
    cached = make(sg.Mock([ValueError("mine"), "fine"]))
    session = cached.open()
    failing, after = session.generate(GREEDY), session.generate(GREEDY)
    (fork,) = session.fork(1)
    of_fork = fork.generate(GREEDY)
    with pytest.raises(ValueError, match="mine"):
        failing.result(5)
    for handle in (after, of_fork, session.mark()):
        with pytest.raises(RequestCancelled):
            handle.result(5)
    session.close()
    fork.close()
    session = cached.open()
    assert session.generate(GREEDY).result(5).text == "fine"
    session.close()


def test_cancelling_ends_what_waits(make: Make, gate: Any) -> None:
    cached = make(sg.Mock(gate))
    session = cached.open()
    handle, later = session.generate(GREEDY), session.generate(GREEDY)
    (fork,) = session.fork(1)
    of_fork = fork.generate(GREEDY)
    session.flush()
    fork.flush()
    assert gate.reached.wait(5)
    session.cancel()
    for one in (handle, later, of_fork):
        with pytest.raises(RequestCancelled):
            one.result(1)
    session.close()
    fork.close()
    gate.opened.set()


def test_a_batch_and_a_damaged_file(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache.db").write_bytes(b"garbage" * 1000)
    mock = sg.Mock(lambda prompt, params: prompt)
    cached = make(mock)
    assert "not a usable cache" in caplog.text

    @sg.function
    def program(s: sg.ProgramState, number: int) -> Any:
        s += f"<{number}>" + sg.gen("x", temperature=0)
        return s["x"]

    items = [(number,) for number in range(30)]
    for _ in range(2):
        states = program.run_batch(items, backend=cached)
        assert [state.ret_value for state in states] == [f"<{number}>" for number in range(30)]
    assert (len(mock.calls), cached.hits, cached.misses) == (30, 30, 30)


def test_a_closed_cache_lets_everything_through(make: Make) -> None:
    cached = make(sg.Mock(["a", "b"]))
    cached.close()
    for expected in "ab":
        session = cached.open()
        assert session.generate(GREEDY).result(5).text == expected
        session.close()


def test_a_backend_of_messages_is_asked_once(openai: Callable[..., sg.OpenAI], server: Any, make: Make) -> None:
    cached = make(openai())

    @sg.function
    def program(s: sg.ProgramState, more: bool) -> Any:
        s += sg.user("Hello") + sg.assistant(sg.gen("a", temperature=0))
        point = s.checkpoint()
        s += sg.user("Again") + sg.assistant(sg.gen("b", temperature=0))
        s["b"]
        s.rollback(point)
        if more:
            s += sg.user("More") + sg.assistant(sg.gen("c", temperature=0))
        return s.messages()

    first = program.run(False, backend=cached).ret_value
    assert len(server.requests) == 2
    assert program.run(False, backend=cached).ret_value == first
    assert len(server.requests) == 2
    assert program.run(True, backend=cached).ret_value[-1] == {"role": "assistant", "content": "fine"}
    assert [message["content"] for message in server.requests[-1]["messages"]] == ["Hello", "fine", "More"]


def test_a_router_s_sessions_can_be_kept(make: Make) -> None:
    mock = sg.Mock({"x": "1"})
    cached = make(sg.Router([mock]))
    program = sg.function(lambda s: s.__iadd__("p" + sg.gen("x", temperature=0)))
    assert [program.run(backend=cached)["x"] for _ in range(2)] == ["1", "1"]
    assert len(mock.calls) == 1


def test_a_router_s_checkpoints_are_asked_for_each_time(make: Make) -> None:
    able, plain = sg.Mock({"x": "one", "y": "12"}), sg.Mock({"x": "one"})
    plain.capabilities = replace(plain.capabilities, constraints=frozenset())
    cached = make(sg.Router([plain, able]), mode="all")

    @sg.function
    def program(s: sg.ProgramState, more: str) -> str:
        s += "p" + sg.gen("x")
        if more:
            s += sg.gen("y", regex="[0-9]+") + more
        point = s.checkpoint()
        s += " undone" + sg.gen("z")
        s["z"]
        s.rollback(point)
        s += sg.gen("w", regex="[0-9]*") if more else sg.gen("w")
        return s.text()

    assert [program.run("", backend=cached).ret_value for _ in range(2)] == ["ponemock"] * 2
    texts = [program.run(more, backend=cached).ret_value for more in (" a", " a", " b")]
    assert texts == ["pone12 a0", "pone12 a0", "pone12 b0"]
    assert [call.prompt for call in plain.calls + able.calls if call.name == "w"] == ["pone", "pone12 a", "pone12 b"]


def test_what_a_backend_makes_of_a_name_counts_where_it_is_told_names(make: Make) -> None:
    mock, plain = sg.Mock({"a": "1", "b": "2"}), sg.Mock(["1", "2"])
    plain.capabilities = replace(plain.capabilities, labels=False)

    @sg.function
    def program(s: sg.ProgramState, name: str) -> Any:
        s += "p" + sg.gen(name, temperature=0)
        return s[name]

    for backend, answers in ((mock, "12"), (plain, "11"), (sg.Router([mock]), "12")):
        cached = make(backend, f"{id(backend)}.db")
        assert [program.run(name, backend=cached).ret_value for name in "ab"] == list(answers)
        assert [program.run(name, backend=cached).ret_value for name in "ba"] == list(answers)[::-1]


def test_another_model_behind_the_same_backend_is_asked_anew(make: Make) -> None:
    mock = sg.Mock({"x": ["1", "2"]})
    cached = make(mock)
    program = sg.function(lambda s: s.__iadd__("p" + sg.gen("x", temperature=0)))
    assert program.run(backend=cached)["x"] == "1"
    mock.fingerprint = "an endpoint that has come to another server"
    assert program.run(backend=cached)["x"] == "2"


def test_an_answer_that_cannot_be_kept_is_the_call_s_failure(make: Make) -> None:
    cached = make(sg.Mock(["\ud800", "b"]))
    session = cached.open()
    call = session.generate(GREEDY)
    with pytest.raises(UnicodeEncodeError):
        call.result(5)
    session.close()
    session = cached.open()
    session.append("x")
    assert session.generate(GREEDY).result(5).text == "b"
    session.close()


def test_a_session_nobody_holds_is_given_up(tiny_engine: Engine, make: Make, settles: Any, is_idle: Any) -> None:
    cached = make(tiny_engine)
    session = cached.open()
    session.append("dropped")
    assert session.generate(GREEDY).result(10).token_ids
    del session
    gc.collect()
    assert settles(lambda: is_idle(tiny_engine))


def test_what_an_engine_is_told_by(tiny_engine: Engine, make: Make) -> None:
    fingerprint = as_backend(tiny_engine).fingerprint  # type: ignore[attr-defined]
    assert fingerprint == as_backend(tiny_engine).fingerprint  # type: ignore[attr-defined]
    assert make(tiny_engine).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "some"}, "mode='some'"),
        ({"max_bytes": 0}, "max_bytes=0"),
        ({"path": ""}, "path=''"),
        ({"path": "."}, r"path='\.'"),
    ],
)
def test_arguments_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(sg.InvalidArgument, match=message):
        sg.Cached(sg.Mock(), **{"path": "never-made", **settings})
