from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

import sgdsl as sg
from runtime.errors import RequestError
from runtime.sampling.params import SamplingParams
from sgdsl.backends.text.adapter import TextAdapter
from sgdsl.backends.text.model import ChoiceScores, Piece, PieceLogprob, TextCall
from sgdsl.backends.text.transcript import Transcript, check_begun, messages_of, open_text, text_of
from sgdsl.ir import Image, RoleBegin, RoleEnd

PARAMS = SamplingParams()


class Echo:
    """A text model without a client: it says the prompt again, in capitals."""

    goes_on = True

    def __init__(self) -> None:
        self.calls: list[TextCall] = []
        self.is_closed = False

    async def stream(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        self.calls.append(call)
        for letter in text_of(call.transcript).upper():
            yield Piece(text=letter)
        yield Piece(finish_reason="stop")

    async def score(self, transcript: Transcript, choices: Sequence[str]) -> ChoiceScores:
        return ChoiceScores(rows=tuple((PieceLogprob(choice, -float(len(choice))),) for choice in choices))

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def model() -> Echo:
    return Echo()


@pytest.fixture
def adapter(model: Echo) -> Any:
    made = TextAdapter("echo", model, concurrency=2)
    yield made
    made.close()


def test_nothing_runs_before_it_is_flushed(adapter: TextAdapter, model: Echo) -> None:
    session = adapter.open()
    session.append("a")
    handle = session.generate(PARAMS)
    time.sleep(0.02)
    assert model.calls == []
    assert handle.result(5).text == "A"
    assert [chunk.text for chunk in handle] == ["A"]


def test_a_gen_goes_on_with_what_was_written(adapter: TextAdapter, model: Echo) -> None:
    session = adapter.open()
    session.append("a")
    session.generate(PARAMS)
    session.append("b")
    assert session.generate(PARAMS).result(5).text == "AAB"
    assert [text_of(call.transcript) for call in model.calls] == ["a", "aAb"]


def test_scores_choose_and_go_on(adapter: TextAdapter, model: Echo) -> None:
    session = adapter.open()
    session.append("a")
    scores = session.score(["xyz", "xy"], lambda rows: rows.index(max(rows))).result(5)
    assert (scores.index, scores.logprobs) == (1, ((-3.0,), (-2.0,)))
    assert [adapter.token_texts.text_of(ids[0]) for ids in scores.token_ids] == ["xyz", "xy"]
    assert session.generate(PARAMS).result(5).text == "AXY"


def test_marks_and_truncation_keep_parts_whole(adapter: TextAdapter) -> None:
    session = adapter.open()
    session.append("ab")
    mark = session.mark()
    session.append("cd")
    session.generate(PARAMS)
    session.truncate(mark.result(5))
    session.append("e")
    assert session.generate(PARAMS).result(5).text == "ABE"


def test_forks_start_when_their_parent_gets_there(adapter: TextAdapter) -> None:
    session = adapter.open()
    session.append("a")
    session.generate(PARAMS)
    children = session.fork(2)
    children[1].append("b")
    handles = [child.generate(PARAMS) for child in children]
    for child in reversed(children):
        child.flush()
    time.sleep(0.02)
    assert not any(handle.done() for handle in handles)
    session.close()
    assert [handle.result(5).text for handle in handles] == ["AA", "AAB"]


def test_only_the_prompt_and_what_it_has_not(adapter: TextAdapter, model: Echo) -> None:
    session = adapter.open()
    assert session.generate(SamplingParams(max_new_tokens=0)).result(5).text == ""
    assert model.calls == []
    for ask in (session.tokens, lambda: session.append([1, 2]), lambda: session.generate(PARAMS, logprob_start=0)):
        with pytest.raises(sg.NotSupported, match="the echo backend"):
            ask()


def test_a_choice_that_raises_is_the_calls_failure(adapter: TextAdapter) -> None:
    session = adapter.open()
    session.append("a")
    with pytest.raises(ZeroDivisionError):
        session.score(["a"], lambda rows: 1 // 0).result(5)


def test_closing_closes_the_model_once(model: Echo) -> None:
    adapter = TextAdapter("echo", model, concurrency=1)
    adapter.close()
    assert not model.is_closed  # its loop was never started
    adapter = TextAdapter("echo", model, concurrency=1)
    adapter.open().generate(PARAMS).result(5)
    adapter.close()
    adapter.close()
    assert model.is_closed


def test_minimal_lengths_hold_stops_back(adapter: TextAdapter) -> None:
    session = adapter.open()
    session.append("xaxbxc")
    result = session.generate(SamplingParams(stop=("X",), min_new_tokens=2)).result(5)
    assert (result.text, result.matched_stop) == ("XA", "X")


def test_transcripts_as_text_and_as_messages() -> None:
    picture = Image("http://x/a.png")
    transcript = [
        RoleBegin("user"), "a", "b", picture, "c", RoleEnd("user"), "\n", RoleBegin("assistant"), "d",
    ]  # fmt: skip
    assert text_of(transcript) == "abc\nd"
    user, assistant = messages_of(transcript)
    assert (user.role, user.content, user.is_open, user.text()) == ("user", ("ab", picture, "c"), False, "abc")
    assert (assistant.content, assistant.is_open) == (("d",), True)
    assert open_text(transcript) == "d"
    assert open_text(["a"]) == ""
    with pytest.raises(RequestError, match="behind 'd'"):
        check_begun([user, assistant], prefill=False)
    check_begun([user, assistant], prefill=True)
    check_begun([user], prefill=False)
    for part in ("b", picture):
        with pytest.raises(RequestError, match="outside"):
            messages_of(["a" if part == "b" else "\n", part])
