"""A program's record on the tiny engine; it stands here because the tiny engine does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sgdsl as sg
from runtime.engine import Engine
from sgdsl.record.history import History


@sg.function
def program(s: sg.ProgramState) -> Any:
    s += "the theatre there, été " + sg.gen("first", max_tokens=5, temperature=0, return_logprob=True)
    s += " and " + sg.select("pick", ["yes", "no"])
    forks = s.fork(2)
    forks += lambda i: f" thing {i}" + sg.gen("kind", regex=r'\{"answer": (true|false)\}', temperature=0)
    forks.join()
    s += " that is all" + sg.gen("last", max_tokens=3, temperature=0)
    return s.tokens()


def test_a_record_equals_what_the_state_says_and_changes_nothing(make_engine: Callable[..., Engine]) -> None:
    recorder, plain, engine = sg.Recorder(), make_engine(page_size=1), make_engine(page_size=1)
    expected = program.run(backend=plain)
    with sg.usage() as account:
        state = program.run(backend=engine, record=recorder)
    assert state.ret_value == expected.ret_value
    assert state.text() == expected.text()
    assert state.usage() == expected.usage() == account.total
    history = History(recorder.entries)
    run = history.runs[0]
    assert history.usage == state.usage()
    gens = {past.instruction.name: past for past in run.instructions.values() if past.instruction.kind == "gen"}
    for name in ("first", "last"):
        meta, sample = state.get_meta_info(name), gens[name].samples[0]
        assert sample.text == state[name] == "".join(token.text for token in sample.tokens)
        assert [token.id for token in sample.tokens] == meta["token_ids"]
        assert (sample.prompt_tokens, sample.cached_tokens) == (meta["prompt_tokens"], meta["cached_tokens"])
    assert all(token.logprob is not None for token in gens["first"].samples[0].tokens)
    forced = gens["kind"].samples[0]
    assert sum(token.origin == "forced" for token in forced.tokens) == forced.num_forced > 0
    assert [token.origin == "forced" for token in forced.tokens] == state.get_meta_info("kind")[-1]["forced"]


def test_the_prompts_of_a_record_are_the_tokens_of_the_stream(engine: Engine) -> None:
    recorder = sg.Recorder()
    state = program.run(backend=engine, record=recorder)
    ids: list[int] = []
    for past in History(recorder.entries).runs[0].streams[0].instructions:
        if past.ended is not None and past.instruction.kind != "tokens":
            ids += [token.id for token in past.ended.prompt]
            scored = past.ended.scored
            ids += [token.id for token in (scored[past.ended.index or 0] if scored else past.samples[0]).tokens]
    assert ids == [token for token, _ in state.ret_value][: len(ids)]
    assert len(ids) == len(state.ret_value)


def test_what_was_cached_before_the_run_says_so(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(page_size=1)
    program.run(backend=engine)
    recorder = sg.Recorder()
    program.run(backend=engine, record=recorder)
    first = History(recorder.entries).runs[0].instructions[1]
    assert first.ended is not None
    assert first.ended.cached_tokens == first.ended.prompt_tokens - 1
    assert [token.origin for token in first.ended.prompt] == ["cached"] * first.ended.cached_tokens + ["prompt"]


def test_split_characters_come_out_whole(engine: Engine) -> None:
    @sg.function
    def emoji(s: sg.ProgramState) -> None:
        s += "x" + sg.gen("out", regex="(😀é∞){3}", temperature=0)

    recorder = sg.Recorder()
    state = emoji.run(backend=engine, record=recorder)
    tokens = History(recorder.entries).runs[0].instructions[1].samples[0].tokens
    assert len(tokens) > 9
    assert "".join(token.text for token in tokens) == state["out"] == "😀é∞" * 3
