from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest

import sgdsl as sg
from grammars import Regex, Sequence
from runtime.core import EngineCore
from runtime.session import Session
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


TAGS = {"structures": [{"begin": "<call>", "schema": {"type": "integer"}, "end": "</call>"}], "triggers": ["<call>"]}


def test_grammars_of_every_kind_hold(engine: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.user("Count to two, then call a number.")
        s += sg.assistant(
            sg.gen("lark", 40, lark='start: "one " ("two" | "three") "."')
            + sg.gen("gbnf", 40, grammar='root ::= " And" [a-z ]{3,9} "!"')
            + sg.gen("spec", 40, grammar=Sequence((" Then ", Regex("[0-9]{2}"))))
            + sg.gen("tag", 40, structural_tag=TAGS, temperature=0)
        )

    state = program.run(backend=engine, seed=3)
    assert state["lark"] in ("one two.", "one three.")
    assert re.fullmatch(r" And[a-z ]{3,9}!", state["gbnf"])
    assert re.fullmatch(r" Then [0-9]{2}", state["spec"])
    calls = re.findall("<call>(.*?)</call>", state["tag"])
    assert all(str(int(call)) == call for call in calls)


def test_a_constraint_begins_where_the_reasoning_ends(engine: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "".join(f"Q: {n} + 1?\n<think> {n} and 1. </think>{n + 1}\n\n" for n in range(1, 5)) + "Q: 7 + 1?\n"
        s += sg.separate_reasoning(sg.gen("n", 40, type=Literal[8, 9], temperature=0), "qwen3")

    state = program.run(backend=engine)
    assert state["n"] in (8, 9)
    assert state["n_reasoning_content"] == "7 and 1."
    assert state.text().endswith(f"Q: 7 + 1?\n<think> 7 and 1. </think>{state['n']}")


def test_a_healed_gen_goes_on_inside_the_prompt_s_last_token(engine: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "The capital of France is Paris, the"
        point = s.checkpoint()
        s += " capital of Germany is Berl"
        s += sg.gen("rest", 6, token_healing=True)
        found = s["rest"], s.text(), s.tokens()
        s.rollback(point)
        return (*found, s.text(), s.tokens())

    rest, text, tokens, before, kept = program.run(backend=engine, temperature=0).ret_value
    assert rest.startswith("in")
    assert text == "The capital of France is Paris, the capital of Germany is Berl" + rest
    assert engine.tokenizer.encode(" Berlin")[0] in [token for token, _ in tokens]  # and not " Berl" and "in"
    assert engine.tokenizer.decode([token for token, _ in tokens]) == text
    assert engine.tokenizer.decode([token for token, _ in kept]) == before == "The capital of France is Paris, the"


def test_a_bad_grammar_is_the_program_s_own_error(engine: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState, options: dict[str, Any]) -> None:
        s += "Say: " + sg.gen("a", 8, temperature=0, **options)

    deep = '{"items":' * 400 + "{}" + "}" * 400
    wrong = [{"json_schema": deep}, {"json_schema": {"properties": {"a": {"type": "strin"}}}}, {"lark": "start: gone"}]
    batch = [(options,) for bad in wrong for options in (bad, {"regex": "yes|no"})]
    states = program.run_batch(batch, backend=engine, return_exceptions=True)
    assert [state["a"] in ("yes", "no") for state in states[1::2]] == [True, True, True]
    for state, named in zip(states[::2], ("nested deeper", "type at /properties/a", "gone"), strict=True):
        assert isinstance(state, sg.ProgramError)
        assert re.search(f'gen "a": .*{named}', str(state))


def test_texts_are_tokenized_as_sessions_append_them(engine: Any) -> None:
    backend = EngineBackend.of(engine)
    assert backend.capabilities.context_length == engine.context_length
    backend.remember([" The end."])

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "Once upon a time."
        before = len(s.tokens())
        s += " The end."
        return [token for token, _ in s.tokens()][before:]

    ids = program.run(backend=backend).ret_value
    assert backend.tokenize(" The end.") == ids
    assert backend.count_tokens(" The end.") == len(ids)


def test_the_engine_hears_of_gangs_and_priorities(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hints: list[Any] = []
    priorities: list[int] = []
    post, request = Session.hint, EngineCore.request
    monkeypatch.setattr(Session, "hint", lambda session, hint: (hints.append(hint), post(session, hint)))

    def requested(core: Any, session: Any, most: Any, first: Any, priority: int = 0, *more: Any) -> Any:
        priorities.append(priority)
        return request(core, session, most, first, priority, *more)

    monkeypatch.setattr(EngineCore, "request", requested)

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "One, two," + sg.gen("a", 2, priority=5)
        s += sg.select("b", ["three", "four"], priority=-3, choices_method=sg.unconditional_likelihood_normalized)
        forks = s.fork(2)
        forks += sg.gen("c", 1)
        forks.join()
        s += sg.select("d", ["x", "y"], priority=2, choices_method=sg.constrained_greedy)

    state = program.run(backend=engine, temperature=0)
    assert len(state.get_meta_info("b")["unconditional_token_logprobs"]) == 2
    assert {priorities.count(p) > 0 for p in (5, -3, 2)} == {True}
    assert priorities[0] == 5
    assert priorities.count(-3) == 3 + sum(len(row) > 1 for row in state.get_meta_info("b")["token_ids"])
    assert [hint.gang for hint in hints if hint.gang is not None] == [1, 1]
    assert [hint.name for hint in hints if hint.name is not None] == ["a", "b", "c", "c", "d"]


@pytest.mark.parametrize("compiled", [False, True])
def test_forks_are_appended_without_prefilling_them_again(engine: Any, compiled: bool) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.user("Two short arguments, for and against remote work.")
        forks = s.fork(2)
        for fork, side in zip(forks, ("For", "Against"), strict=True):
            fork += sg.assistant(f"{side}: " + sg.gen("argument", 24, stop="\n"))
        forks.join("concat_and_append")
        s += sg.user("Which is stronger?") + sg.assistant(sg.select("winner", ["For", "Against"]))
        s += sg.user("Why?") + sg.assistant(sg.gen("why", 12))

    before = engine.stats()
    state = (program.compile(backend=engine) if compiled else program).run(backend=engine, temperature=0)
    after = engine.stats()
    both = state["argument"]
    assert f"For: {both[0]}" in state.text()
    assert f"Against: {both[1]}" in state.text()
    assert [message["role"] for message in state.messages()][:4] == ["user", "assistant", "assistant", "user"]
    assert [meta["attention_recomputed"] for meta in state.get_meta_info("argument")] == [False, False]
    taken = after["concatenated_tokens"] - before["concatenated_tokens"]
    assert taken > sum(len(meta["token_ids"]) for meta in state.get_meta_info("argument"))
    meta = state.get_meta_info("why")
    assert meta["prompt_tokens"] - meta["cached_tokens"] < 20  # the parts are among the cached


@sg.function
def five_gens(s: sg.ProgramState) -> None:
    expr = sg.user("Count on.") + sg.assistant_begin()
    for i in range(5):
        expr += f"{i}: " + sg.gen(f"n{i}", 2) + "\n"
    s += expr + sg.assistant_end()


@pytest.mark.parametrize("compiled", [False, True])
def test_five_gens_and_the_text_between_them_are_one_submission(
    engine: Any, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    scripts: list[list[Any]] = []
    enqueue = EngineCore.enqueue

    def counted(core: Any, session: Any, ops: Any) -> None:
        scripts.append([type(op).__name__ for op in ops])
        enqueue(core, session, ops)

    monkeypatch.setattr(EngineCore, "enqueue", counted)
    state = (five_gens.compile() if compiled else five_gens).run(backend=engine, temperature=0)
    assert len(state["n4"]) > 0
    written = [ops for ops in scripts if ops != ["Close"]]
    assert len(written) == 1
    assert written[0].count("Generate") == 5
    assert written[0].count("Append") == 7  # one for each stretch of text up to the next gen or role edge
