from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest

import sgdsl as sg
from sgdsl.backends.engine import EngineBackend
from sgdsl.process import as_backend

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with sg.Engine() as started:
        yield started


@pytest.fixture(autouse=True)
def _nothing_is_left(engine: Any) -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while engine.stats()["ledger"]["session"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.stats()["ledger"]["session"] == 0
    assert engine.stats()["ledger"]["request"] == 0


def test_an_engine_is_taken_as_a_backend(engine: Any) -> None:
    assert isinstance(as_backend(engine), EngineBackend)


def test_text_is_the_rendered_conversation_and_tokens_are_those_of_the_rendered_text(engine: Any) -> None:
    @sg.function
    def talk(s: sg.ProgramState) -> Any:
        s += sg.user("Name a colour.")
        s += sg.assistant(" blue ") + sg.user("\nAnd one more, é?")
        return s.tokens()

    state = talk.run(backend=engine)
    rendered = engine.chat_template.render(state.messages())
    assert state.text() == rendered
    assert "You are a helpful AI assistant" in rendered
    assert [token for token, _ in state.ret_value] == engine.tokenizer.encode(rendered)


def test_a_program_with_everything(engine: Any) -> None:
    @sg.function
    def triage(s: sg.ProgramState, ticket: str) -> Any:
        s += sg.system("You route support tickets.") + sg.user(ticket)
        s += sg.assistant(
            "Team: " + sg.select("team", ["billing", "infra", "sales"]) + "\n" + sg.gen("why", 12, stop="\n")
        )
        forks = s.fork(3)
        forks += lambda i: sg.user(f"Mark {i}?") + sg.assistant(sg.gen("mark", type=Literal[1, 2, 3]))
        forks.join()
        point = s.checkpoint()
        s += sg.user("A number?") + sg.assistant(sg.gen("first", dtype=int, max_tokens=4, stop="\n"))
        s.rollback(point)
        s += sg.user("A list?") + sg.assistant(sg.gen("list", type=list[bool], max_tokens=40))
        s += sg.gen("many", 4, n=2, seed=1, return_logprob=True, return_text_in_logprobs=True)
        return s["team"], s["mark"], s["list"], s["many"]

    state = triage.run("My card was charged twice.", backend=engine, temperature=0)
    team, marks, flags, many = state.ret_value
    assert team in ("billing", "infra", "sales")
    assert set(marks) <= {1, 2, 3}
    assert len(marks) == 3
    assert all(isinstance(flag, bool) for flag in flags)
    assert json.loads(state.text_of("list")) == flags
    assert "first" not in state
    entries = state.get_meta_info("many")[0]["output_token_logprobs"]
    whole = engine.tokenizer.decode([token for _, token, _ in entries])
    assert whole == many[0]
    assert all(text == engine.tokenizer.decode([token], skip_special_tokens=False) for _, token, text in entries)
    assert triage.run("My card was charged twice.", backend=engine, temperature=0).ret_value == state.ret_value


def test_a_fork_does_not_compute_its_prefix_again(engine: Any) -> None:
    @sg.function
    def forking(s: sg.ProgramState) -> Any:
        s += "one two three four five six seven " * 60
        before = len(s.tokens())
        forks = s.fork(6)
        forks += lambda i: f"and {i}" + sg.gen("x", 1)
        forks.join()
        own = sum(meta["prompt_tokens"] - before for meta in s.get_meta_info("x"))
        return before + own

    engine.flush_cache()
    computed = engine.stats()["computed_tokens"]
    needed = forking.run(backend=engine).ret_value
    assert engine.stats()["computed_tokens"] - computed <= needed


def test_the_same_seed_is_the_same_text(engine: Any) -> None:
    @sg.function
    def write(s: sg.ProgramState) -> Any:
        s += "Once upon a time" + sg.gen("x", 12)
        return s["x"]

    texts = [write.run(backend=engine, seed=7, temperature=1.5).ret_value for _ in range(2)]
    assert texts[0] == texts[1]


def test_cancelling_and_failing_leave_nothing_behind(engine: Any) -> None:
    @sg.function
    def long(s: sg.ProgramState) -> None:
        forks = s.fork(3)
        forks += "Once upon a time" + sg.gen("x", 500, ignore_eos=True)
        forks.join()

    with pytest.raises(sg.ProgramTimeout):
        long.run(backend=engine, timeout=0.5)
    state = long.run(backend=engine, stream=True)
    time.sleep(0.2)
    state.cancel()
    with pytest.raises(sg.ProgramCancelled):
        state.text()

    @sg.function
    def too_long(s: sg.ProgramState) -> None:
        s += "word " * 20_000 + sg.gen("x")

    with pytest.raises(sg.ProgramError, match='gen "x"') as caught:
        too_long.run(backend=engine)
    assert caught.value.__cause__ is not None


def test_cache_counts_tokens(engine: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState, question: str) -> Any:
        s += "Some words to begin with, quite a few of them, so that they fill a page or two of the cache.\n" * 3
        s += question + sg.gen("x", 1)
        return s.get_meta_info("x")["cached_tokens"]

    cached = program.cache(engine)
    assert cached > 40
    assert program.run("Why?", backend=engine).ret_value >= cached - cached % 16 - 16
