"""Scores against log probabilities of a plain forward, with healed token boundaries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runtime.engine import Engine
from runtime.errors import ContextLengthExceeded, InvalidParameter, RequestCancelled
from runtime.sampling.params import SamplingParams
from runtime.scoring import common_length
from runtime.tokenizer import Tokenizer
from runtime.unconditional import UnconditionalLogprobs

Oracle = Callable[[list[int]], torch.Tensor]
Clean = Callable[[Engine], None]


def likeliest(scores: Sequence[Sequence[float]]) -> int:
    means = [sum(row) / len(row) for row in scores]
    return means.index(max(means))


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=4))
def test_common_length_is_the_longest_common_prefix(rows: list[list[int]]) -> None:
    length = common_length(rows)
    assert all(row[:length] == rows[0][:length] for row in rows)
    longer = [row[: length + 1] for row in rows]
    assert min(map(len, rows)) == length or any(row != longer[0] for row in longer)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("the answer is ", ["yes", "no", "true, or false"]),
        ("the answer is", [" yes", " no"]),
        ("is it th", ["ere", "e", "in", "xyz"]),  # boundaries inside what would be one token
        ("t", ["he", "hing"]),
        ("été ", ["x"]),
        ("yes ", ["yes", "yes yes", "yes yes yes"]),
    ],
)
@pytest.mark.parametrize(
    "settings",
    [{}, {"page_size": 1}, {"page_size": 4, "chunked_prefill_size": 1}, {"chunked_prefill_size": 5}],
    ids=str,
)
def test_scores_are_those_of_a_full_forward(
    make_engine: Callable[..., Engine],
    full_logprobs: Oracle,
    assert_nothing_held: Clean,
    text: str,
    choices: list[str],
    settings: dict[str, Any],
) -> None:
    engine = make_engine(**settings)
    encode = engine.tokenizer.encode
    with engine.open() as session:
        session.append([10, 11, 12])
        session.append(text)
        session.tokens()  # asking changes nothing
        result = session.score(choices, likeliest).result(timeout=20)
        tokens = session.tokens().result(timeout=20)
    joined = [encode(text + choice) for choice in choices]
    healed = min(common_length([*joined, encode(text)]), *(len(row) - 1 for row in joined))
    base = [10, 11, 12, *joined[0][:healed]]
    assert result.prompt_tokens == len(base)
    for row, ids, logprobs in zip(joined, result.token_ids, result.logprobs, strict=True):
        assert list(ids) == row[healed:]
        table = full_logprobs(base + row[healed:])
        wanted = [float(table[len(base) - 1 + i][token]) for i, token in enumerate(row[healed:])]
        assert list(logprobs) == pytest.approx(wanted, abs=1e-4)
    assert result.index == likeliest(result.logprobs)
    assert [token for token, _ in tokens] == base + list(result.token_ids[result.index])
    assert_nothing_held(engine)


@pytest.mark.parametrize("page_size", [1, 16])
def test_generation_goes_on_after_the_choice(make_engine: Callable[..., Engine], page_size: int) -> None:
    engine = make_engine(page_size=page_size)
    params = SamplingParams(temperature=0, max_new_tokens=6, ignore_eos=True)
    with engine.open() as session:
        session.append("the answer " * 6)
        score = session.score(["is yes", "is not there", "no"], lambda scores: 1)
        more = session.generate(params)
        tokens = [token for token, _ in session.tokens().result(timeout=20)]
    assert score.result().index == 1
    engine.flush_cache()
    alone = engine.generate(input_ids=tokens[:-6], sampling_params=params)
    assert list(more.result().token_ids) == alone["output_ids"] == tokens[-6:]


def test_the_common_prompt_is_computed_once(engine: Engine) -> None:
    session = engine.open()
    session.append([9] * 50)
    result = session.score(["thin", "x", "12"], likeliest).result(timeout=20)
    # Each alternative runs the prompt's last token once more, for its logits.
    assert engine.stats()["computed_tokens"] == 50 + sum(1 + len(ids) for ids in result.token_ids)
    stats = engine.stats()
    assert stats["prompt_tokens"] == stats["cached_tokens"] + stats["computed_tokens"]


@pytest.mark.parametrize("text", ["", "the ", "the th"])
def test_never_two_begin_tokens(
    make_engine: Callable[..., Engine], bos_tokenizer: Any, full_logprobs: Oracle, text: str
) -> None:
    engine = make_engine(bos_tokenizer)
    session = engine.open()
    session.append(text)
    result = session.score(["ere", "in"], lambda scores: 1).result(timeout=20)
    tokens = [token for token, _ in session.tokens().result(timeout=20)]
    assert tokens == [1, *bos_tokenizer.encode(text + "in")]
    begun = [1, *bos_tokenizer.encode(text)] if text else [1]
    joined = [[1, *bos_tokenizer.encode(text + choice)] for choice in ("ere", "in")]
    assert result.prompt_tokens == min(common_length([*joined, begun]), *(len(row) - 1 for row in joined))


def test_one_alternative_twice_scores_alike(engine: Engine) -> None:
    session = engine.open()
    session.append("x")
    result = session.score(["thin", "thin"], lambda scores: 0).result(timeout=20)
    assert result.logprobs[0] == pytest.approx(result.logprobs[1], abs=1e-5)


@pytest.mark.parametrize("fault", [ZeroDivisionError("mine"), IndexError("mine")])
def test_a_raising_choice_fails_its_session_alone(engine: Engine, assert_nothing_held: Clean, fault: Exception) -> None:
    def choose(scores: Sequence[Sequence[float]]) -> int:
        raise fault

    with engine.open() as session, engine.open() as other:
        session.append("the ")
        other.append("the ")
        bad, after = session.score(["a", "b"], choose), session.mark()
        good = other.score(["a", "b"], likeliest)
        good.result(timeout=20)
        for handle in (bad, after):
            with pytest.raises(type(fault), match="mine"):
                handle.result(timeout=20)
    assert_nothing_held(engine)


@pytest.mark.parametrize("index", [2, -1])
def test_an_index_out_of_range_fails_the_score(engine: Engine, assert_nothing_held: Clean, index: int) -> None:
    with engine.open() as session:
        session.append("the ")
        with pytest.raises(InvalidParameter, match=rf"choose={index}.*0\.\.1"):
            session.score(["a", "b"], lambda scores: index).result(timeout=20)
    assert_nothing_held(engine)


def test_an_alternative_beyond_the_context_is_refused(
    make_engine: Callable[..., Engine], assert_nothing_held: Clean
) -> None:
    engine = make_engine(context_length=24)
    with engine.open() as session:
        session.append([5] * 20)
        with pytest.raises(ContextLengthExceeded, match="context_length=24"):
            session.score(["a", "xyzxyzxyz"], likeliest).result(timeout=20)
    assert_nothing_held(engine)


def test_hundreds_of_alternatives_can_be_scored_and_cancelled(
    make_engine: Callable[..., Engine], assert_nothing_held: Clean
) -> None:
    engine = make_engine(max_running_requests=16, page_size=4)
    choices = [f"{i:03d}" for i in range(400)]
    with engine.open() as session:
        session.append([9] * 12)
        result = session.score(choices, likeliest).result(timeout=60)
        assert len(result.logprobs) == 400
        again = threading.Event()
        second = session.score(choices, likeliest)
        session.flush()
        again.wait(0.05)
        session.cancel()
        with pytest.raises(RequestCancelled):
            second.result(timeout=20)
    assert_nothing_held(engine)


def test_alternatives_fit_a_pool_that_holds_only_some_of_them(
    make_engine: Callable[..., Engine], full_logprobs: Oracle, assert_nothing_held: Clean
) -> None:
    engine = make_engine(max_total_tokens=48, page_size=4)
    with engine.open() as session:
        session.append([9] * 17)
        result = session.score([f"{i:02d}{i:02d}" for i in range(12)], likeliest).result(timeout=30)
    for ids, logprobs in zip(result.token_ids, result.logprobs, strict=True):
        table = full_logprobs([9] * 17 + list(ids))
        assert list(logprobs) == pytest.approx([float(table[16 + i][t]) for i, t in enumerate(ids)], abs=1e-4)
    assert_nothing_held(engine)


@pytest.mark.parametrize("settings", [{}, {"page_size": 1}, {"page_size": 4, "chunked_prefill_size": 2}], ids=str)
@pytest.mark.parametrize("with_bos", [False, True])
def test_unconditional_scores_are_those_of_the_ids_alone(
    make_engine: Callable[..., Engine],
    full_logprobs: Oracle,
    assert_nothing_held: Clean,
    bos_tokenizer: Tokenizer,
    tiny_tokenizer: Tokenizer,
    settings: dict[str, Any],
    with_bos: bool,
) -> None:
    engine = make_engine(tokenizer=bos_tokenizer if with_bos else tiny_tokenizer, **settings)
    seen: list[Sequence[Sequence[float]]] = []

    def choose(rows: Sequence[Sequence[float]]) -> int:
        seen.append(rows)
        return likeliest(rows)

    choices = ["yes and no", "no", "true, or false"]
    with engine.open() as session:
        session.append("the answer is ")
        result = session.score(choices, choose, unconditional=True).result(timeout=20)
        prompt = [token for token, _ in session.tokens().result(timeout=20)][: result.prompt_tokens]
    assert result.unconditional_logprobs is not None
    for ids, given_prompt, alone, basis in zip(
        result.token_ids, result.logprobs, result.unconditional_logprobs, seen[0], strict=True
    ):
        without = full_logprobs(list(ids))  # by hand: nothing before them, no begin token, and nothing for the first
        wanted = [0.0] + [float(without[i][token]) for i, token in enumerate(ids[1:])]
        assert list(alone) == pytest.approx(wanted, abs=1e-4)
        table = full_logprobs(prompt + list(ids))
        after = [float(table[len(prompt) - 1 + i][token]) for i, token in enumerate(ids)]
        assert list(given_prompt) == pytest.approx(after, abs=1e-4)
        assert list(basis) == pytest.approx([a - b for a, b in zip(after, wanted, strict=True)], abs=2e-4)
    assert result.basis == tuple(seen[0])
    assert result.index == likeliest(result.basis)
    assert_nothing_held(engine)


def test_ids_are_scored_alone_once_for_all_who_ask(engine: Engine, assert_nothing_held: Clean) -> None:
    def requests() -> tuple[int, Any]:
        before = engine.stats()["requests"]
        with engine.open() as session:
            session.append("is it ")
            result = session.score(["yes and no", "then there"], likeliest, unconditional=True).result(timeout=20)
        return engine.stats()["requests"] - before, result.unconditional_logprobs

    first, rows = requests()
    second, again = requests()
    assert first - second == 2
    assert again == rows
    assert_nothing_held(engine)


def test_unconditional_logprobs_are_forgotten_when_there_are_too_many() -> None:
    known = UnconditionalLogprobs(most_tokens=5)
    assert known.find("", (7,)) == (0.0,)
    for ids in ((1, 2), (3, 4), (3, 4)):
        known.keep("", ids, (0.0, -1.0))
    assert known.find("", (1, 2)) == (0.0, -1.0)
    assert known.find("other", (1, 2)) is None
    known.keep("", (5, 6), (0.0, -2.0))
    assert known.find("", (3, 4)) is None
    assert known.find("", (1, 2)) == (0.0, -1.0)


def test_cancelling_an_unconditional_score_leaves_nothing(engine: Engine, assert_nothing_held: Clean) -> None:
    started = threading.Event()
    session = engine.open()
    session.append("the thing " * 20)

    def choose(rows: Sequence[Sequence[float]]) -> int:
        started.set()
        return 0

    engine._core.post(lambda: threading.Timer(0.0, session.cancel).start())
    handle = session.score(["yes and no", "then there"] * 1, choose, unconditional=True)
    session.cancel()
    with pytest.raises(RequestCancelled):
        handle.result(timeout=20)
    session.close()
    assert_nothing_held(engine)
