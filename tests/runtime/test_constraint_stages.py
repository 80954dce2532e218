"""Token healing and grammars after reasoning, in the engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from grammars import GrammarError, GrammarLimit, InvalidSpec, JsonSchema, Lark, Regex, Spec, UnsupportedConstraint
from runtime.engine import Engine
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams
from runtime.tokenizer import Tokenizer

MakeEngine = Callable[..., Engine]
Oracle = Callable[[list[int]], torch.Tensor]
Clean = Callable[[Engine], None]


def greedy(count: int = 8, **more: Any) -> SamplingParams:
    return SamplingParams(temperature=0, max_new_tokens=count, ignore_eos=True, **more)


def spelled(tokenizer: Tokenizer, tokens: list[int]) -> bytes:
    return b"".join(tokenizer.token_bytes[token] or b"" for token in tokens)


PROMPT = "the answer is yes or no, the thea"


@pytest.mark.parametrize("page_size", [1, 4, 16])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_a_healed_text_goes_on_where_the_prompt_ends(
    make_engine: MakeEngine, full_logprobs: Oracle, assert_nothing_held: Clean, page_size: int, seed: int | None
) -> None:
    engine = make_engine(page_size=page_size)
    tokenizer = engine.tokenizer
    prompt = tokenizer.encode(PROMPT)
    engine.generate(input_ids=prompt, sampling_params=greedy(3))  # the last page may be shared
    params = greedy(12, token_healing=True)
    if seed is not None:
        params = SamplingParams(temperature=1.5, seed=seed, max_new_tokens=12, token_healing=True)
    with engine.open() as session:
        session.append(PROMPT)
        result = session.generate(params)
        session.append("!")
        after = session.generate(greedy(2))
        tokens = session.tokens().result(timeout=20)
    out = list(result.result().token_ids)
    ids = [token for token, _ in tokens]
    kept = ids[: len(ids) - len(out) - 3]
    assert kept == prompt[: len(kept)]
    assert 0 < len(prompt) - len(kept) <= 8
    assert result.result().prompt_tokens == len(kept)
    assert [origin for _, origin in tokens] == ["prompt"] * len(kept) + ["generated"] * len(out) + ["prompt"] + [
        "generated"
    ] * 2
    whole = spelled(tokenizer, kept + out)
    assert whole.startswith(PROMPT.encode())
    assert whole[len(PROMPT.encode()) :].decode("utf-8", "replace").startswith(result.result().text)
    if seed is None:  # the likeliest of those tokens that fit
        scores = full_logprobs(kept)[-1]
        left = spelled(tokenizer, prompt[len(kept) :])
        fitting = [t for t, b in enumerate(tokenizer.token_bytes) if b and (b.startswith(left) or left.startswith(b))]
        assert out[0] == max(fitting, key=lambda token: float(scores[token]))
    assert after.result().token_ids[0] == int(full_logprobs(ids[:-2])[-1].argmax())
    assert_nothing_held(engine)


def test_a_grammar_begins_behind_the_healed_text(engine: Engine) -> None:
    pattern = "tr[aeiou]{2,9}|[a-z]{3}"
    for seed in range(12):
        params = SamplingParams(
            temperature=2.0, seed=seed, max_new_tokens=40, token_healing=True, constraint=Regex(pattern)
        )
        with engine.open() as session:
            session.append(PROMPT)
            result = session.generate(params).result(timeout=20)
            tokens = [token for token, _ in session.tokens().result(timeout=20)]
        assert re.fullmatch(pattern, result.text)
        assert spelled(engine.tokenizer, tokens) == (PROMPT + result.text).encode()


def test_what_was_taken_back_returns_where_nothing_takes_its_place(engine: Engine, assert_nothing_held: Clean) -> None:
    tokenizer = engine.tokenizer
    prompt = tokenizer.encode(PROMPT)

    def run(**params: Any) -> tuple[Any, list[tuple[int, str]]]:
        with engine.open() as session:
            session.append(PROMPT)
            result = session.generate(greedy(**params, token_healing=True)).result(timeout=20)
            return result, session.tokens().result(timeout=20)

    letter = tokenizer.prefixes.find(spelled(tokenizer, prompt[-2:])[:1])
    assert letter is not None
    result, tokens = run(count=1, logit_bias={letter: 1e6})  # one byte of what was taken back, and no more
    assert (result.text, result.token_ids, result.finish_reason) == ("", (), "length")
    assert tokens == [(token, "prompt") for token in prompt]
    free = run(count=6)[0]
    stopped, tokens = run(count=6, stop=(free.text[:1],))
    assert (stopped.text, stopped.finish_reason) == ("", "stop")
    assert spelled(tokenizer, [token for token, _ in tokens]) == PROMPT.encode()
    nothing, tokens = run(count=0)
    assert nothing.token_ids == ()
    assert tokens == [(token, "prompt") for token in prompt]
    assert_nothing_held(engine)


def test_where_nothing_can_be_healed_nothing_is_changed(engine: Engine) -> None:
    for prompt in ([300], [5, 6], engine.tokenizer.encode("x") * 2):
        plain = engine.generate(input_ids=prompt, sampling_params=greedy(4))
        healed = engine.generate(input_ids=prompt, sampling_params=greedy(4, token_healing=True))
        if healed["meta_info"]["prompt_tokens"] == len(prompt):
            assert healed["output_ids"] == plain["output_ids"]
    one = engine.generate(input_ids=[300], sampling_params=greedy(4, token_healing=True))
    assert one["meta_info"]["prompt_tokens"] == 1


def test_healing_streams_only_new_text(engine: Engine) -> None:
    params = greedy(10, token_healing=True, stop=("zzz",))
    parts = [part["text"] for part in engine.generate(PROMPT, params, stream=True)]
    assert parts[-1] == engine.generate(PROMPT, params)["text"]
    assert all(late.startswith(early) for early, late in pairwise(parts))


def say(engine: Engine, start: int, tokens: list[int]) -> None:
    """Makes the model say `tokens` from position `start` on, where they are allowed."""
    runner = engine._core._stepper._runner
    real = runner.run

    def run(batch: Any) -> torch.Tensor:
        logits = real(batch).clone()
        for row, position in zip(logits, batch.positions[batch.logit_rows].tolist(), strict=True):
            if 0 <= position + 1 - start < len(tokens):
                row[tokens[position + 1 - start]] = 1e4
        return logits

    runner.run = run  # type: ignore[method-assign]


@pytest.mark.parametrize("jumps", [True, False])
def test_a_grammar_begins_after_the_reasoning(engine: Engine, assert_nothing_held: Clean, jumps: bool) -> None:
    encode = engine.tokenizer.encode
    prompt, thoughts = encode("12 + 30 = "), encode("the answer</t>there, 30 = 42")
    say(engine, len(prompt), thoughts)
    spec = Regex("(yes|no)[.]")
    params = SamplingParams(
        temperature=0, max_new_tokens=40, constraint=spec, constraint_after="</t>", jump_forward=jumps
    )
    answer = engine.generate(input_ids=prompt, sampling_params=params)
    head, marker, tail = answer["text"].partition("</t>")
    assert (head, marker) == ("the answer", "</t>")
    assert re.fullmatch(spec.pattern, tail)
    assert answer["meta_info"]["finish_reason"] == {"type": "stop"}
    assert_nothing_held(engine)


def test_reasoning_cannot_end_without_its_marker(engine: Engine) -> None:
    params = SamplingParams(
        temperature=0, max_new_tokens=9, constraint=Regex("a"), constraint_after="</t>", logit_bias={2: 1e6}
    )
    answer = engine.generate("x", params)
    assert len(answer["output_ids"]) == 9
    assert answer["meta_info"]["finish_reason"] == {"type": "length"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"constraint_after": "</t>"}, "constraint_after"),
        ({"constraint_after": "", "regex": "a"}, "constraint_after"),
        ({"constraint_after": 3, "regex": "a"}, "constraint_after"),
        ({"token_healing": "yes"}, "token_healing"),
    ],
)
def test_bad_parameters_are_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidParameter, match=named):
        SamplingParams.parse(given)


def test_healing_and_reasoning_and_a_grammar_together(engine: Engine) -> None:
    encode = engine.tokenizer.encode
    say(engine, len(encode(PROMPT)), encode(" so</t>"))
    params = SamplingParams(
        temperature=0, max_new_tokens=60, constraint=Regex("ab*c"), constraint_after="</t>", token_healing=True
    )
    with engine.open() as session:
        session.append(PROMPT)
        result = session.generate(params).result(timeout=20)
        tokens = [token for token, _ in session.tokens().result(timeout=20)]
    assert spelled(engine.tokenizer, tokens).startswith((PROMPT + result.text).encode()[:-3])
    if "</t>" in result.text:
        assert re.fullmatch("ab*c?", result.text.partition("</t>")[2])


@pytest.mark.parametrize("place", ["before", "behind"])
def test_what_stands_before_a_mark_is_not_taken_back(engine: Engine, place: str) -> None:
    """Whoever returns to the mark finds the very tokens that were there."""
    prompt = engine.tokenizer.encode(PROMPT)
    with engine.open() as session:
        session.append(prompt[:-1] if place == "before" else prompt)
        mark = session.mark()
        session.append(prompt[-1:] if place == "before" else [])
        healed = session.generate(greedy(6, token_healing=True))
        session.flush()
        session.truncate(mark.result(timeout=20))
        tokens = [token for token, _ in session.tokens().result(timeout=20)]
    assert tokens == prompt[: len(tokens)]
    assert healed.result().prompt_tokens == len(tokens) == len(prompt) - (place == "before")


def test_a_choice_does_not_reach_before_a_mark(engine: Engine) -> None:
    with engine.open() as session:
        session.append(PROMPT)
        mark = session.mark()
        session.score(["tre", "tres"], lambda scores: 0)
        session.flush()
        session.truncate(mark.result(timeout=20))
        tokens = [token for token, _ in session.tokens().result(timeout=20)]
    assert tokens == engine.tokenizer.encode(PROMPT)


def test_a_grammar_that_fails_harms_nobody_else(engine: Engine) -> None:
    """Each of them its own error, naming what is wrong and where; all others their texts."""
    deep = '{"items":' * 400 + "{}" + "}" * 400
    wrong: list[tuple[Spec, type[GrammarError], str]] = [
        (JsonSchema(deep), GrammarLimit, "nested deeper"),
        (JsonSchema('{"properties": {"a": {"$ref": "http://x/y"}}}'), UnsupportedConstraint, r"\$ref at /properties/a"),
        (JsonSchema('{"properties": {"a": {"type": "strin"}}}'), InvalidSpec, "type at /properties/a"),
        (Lark('start: "a" missing'), InvalidSpec, "missing"),
        (Regex(r"(a)\1"), UnsupportedConstraint, "reference to a group"),
    ]
    right = Regex("tr[aeiou]{2,9}")
    expected = engine.generate(PROMPT, greedy(6, constraint=right))["text"]
    handles = []
    for spec, _, _ in wrong:
        for one in (spec, right):
            with engine.open() as session:
                session.append(PROMPT)
                handles.append(session.generate(greedy(6, constraint=one)))
    for place, (_, kind, named) in enumerate(wrong):
        with pytest.raises(kind, match=named):
            handles[2 * place].result(timeout=60)
        assert handles[2 * place + 1].result(timeout=60).text == expected
