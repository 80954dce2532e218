"""Jump-forward: forced tokens cost no step, and change nothing else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from grammars import Choice, Regex
from runtime.engine import Engine
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams

MakeEngine = Callable[..., Engine]
Give = Callable[[Engine, Any, Any], None]
Clean = Callable[[Engine], None]
END = 2


def greedy(**more: Any) -> SamplingParams:
    return SamplingParams(**{"temperature": 0, "max_new_tokens": 60, **more})


def branching(rng: random.Random, depth: int = 3) -> list[list[int]]:
    """Token sequences with forced runs between choices."""
    runs = [[rng.randrange(10, 300) for _ in range(rng.randrange(0, 9))] for _ in range(rng.randrange(1, 4))]
    if depth == 0:
        return [run or [7] for run in runs]
    tails = branching(rng, depth - 1)
    return [[300 + place, *run, *tail] for place, run in enumerate(runs) for tail in tails]


@pytest.fixture
def trees(token_tree: Any) -> dict[Regex, Any]:
    rng = random.Random(4)
    made = {}
    for number in range(8):
        prefix = [rng.randrange(10, 300) for _ in range(number % 4)]
        made[Regex(f"tree{number}")] = token_tree([prefix + text for text in branching(rng)], [END])
    return made


PROMPTS = [[5 + i] * (3 + 7 * i % 23) for i in range(8)]


def outputs(engine: Engine, trees: dict[Regex, Any], **params: Any) -> list[dict[str, Any]]:
    engine._core.post(lambda: time.sleep(0.05))  # all are queued before the first step
    wanted = [greedy(constraint=spec, **params) for spec in trees]
    answers: list[dict[str, Any]] = engine.generate(input_ids=PROMPTS, sampling_params=wanted)
    return answers


def ids(answers: Sequence[dict[str, Any]]) -> list[Any]:
    return [answer["output_ids"] for answer in answers]


def promise_too_much(engine: Engine) -> None:
    """Has more requests given a place than there is room for when they have grown."""
    estimate = engine._core.scheduler.estimate
    estimate._start = estimate.ratio = 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {"page_size": 16},
        {"page_size": 1, "chunked_prefill_size": 3},
        {"page_size": 4, "chunked_prefill_size": 1, "attention": "cpu"},
        {"page_size": 4, "max_total_tokens": 88},
        {"max_running_requests": 2, "policy": "fcfs", "attention": "cpu"},
    ],
    ids=str,
)
@pytest.mark.parametrize("sampled", [{}, {"temperature": 1.3, "seed": 3, "frequency_penalty": 0.4}], ids=str)
def test_the_same_tokens_with_and_without(
    make_engine: MakeEngine,
    trees: dict[Regex, Any],
    give_grammar: Give,
    assert_nothing_held: Clean,
    settings: Any,
    sampled: Any,
) -> None:
    on, off = make_engine(**settings), make_engine(**settings, jump_forward=False)
    promise_too_much(on)
    for spec, tree in trees.items():
        give_grammar(on, spec, tree)
        give_grammar(off, spec, tree)
    with_it, without = outputs(on, trees, **sampled), outputs(off, trees, **sampled)
    assert ids(with_it) == ids(without)
    assert [answer["text"] for answer in with_it] == [answer["text"] for answer in without]
    for answer, tree in zip(with_it, trees.values(), strict=True):
        assert tuple(answer["output_ids"]) in tree.whole
    assert ids(outputs(on, trees, **sampled)) == ids(without)  # with all prefixes cached
    fast, slow = on.stats(), off.stats()
    forced = sum(answer["meta_info"]["forced_tokens"] for answer in with_it)
    assert forced > 20
    assert fast["forced_tokens"] == 2 * forced
    assert slow["forced_tokens"] == 0
    assert fast["generated_tokens"] == 2 * (slow["generated_tokens"] - forced)
    if "max_total_tokens" in settings:
        assert fast["retractions"] > 0
    for engine in (on, off):
        stats = engine.stats()
        if stats["retractions"] == 0:
            assert stats["cached_tokens"] + stats["computed_tokens"] == stats["prompt_tokens"]
        assert_nothing_held(engine)


def test_one_request_may_do_without(engine: Engine, token_tree: Any, give_grammar: Give) -> None:
    give_grammar(engine, Regex("x"), token_tree([[10, 11, 12], [10, 13]], [END]))
    answer = engine.generate("a", greedy(constraint=Regex("x"), jump_forward=False))
    assert answer["meta_info"]["forced_tokens"] == 0
    with pytest.raises(InvalidParameter, match="jump_forward"):
        greedy(jump_forward=1)


def test_what_leaves_no_choice_at_all_needs_no_model(engine: Engine, token_tree: Any, give_grammar: Give) -> None:
    tokens = engine.tokenizer.encode("the answer is 42")
    give_grammar(engine, Regex("x"), token_tree([tokens], [END]))
    answer = engine.generate("a", greedy(constraint=Regex("x")))
    assert answer["text"] == "the answer is 42"
    assert answer["output_ids"] == tokens
    assert answer["meta_info"]["finish_reason"] == {"type": "stop"}
    assert (engine.stats()["steps"], engine.stats()["forced_tokens"]) == (0, len(tokens))
    with engine.open() as session:
        session.append([5, 6])
        handles = []
        for _ in range(1000):
            session.truncate(2)
            handles.append(session.generate(greedy(constraint=Regex("x"))))
        after = session.generate(greedy(max_new_tokens=3, ignore_eos=True))
        last = session.tokens().result(timeout=60)
    assert all(handle.result().text == "the answer is 42" for handle in handles)
    assert len(after.result().token_ids) == 3
    assert [origin for _, origin in last] == ["prompt"] * 2 + ["forced"] * len(tokens) + ["generated"] * 3


def test_what_follows_a_jump_sees_the_right_kv(
    make_engine: MakeEngine, trees: dict[Regex, Any], give_grammar: Give, full_logprobs: Callable[..., torch.Tensor]
) -> None:
    for page_size in (1, 4, 16):
        engine = make_engine(page_size=page_size)
        for spec, tree in trees.items():
            give_grammar(engine, spec, tree)
            with engine.open() as session:
                session.append([5, 6, 7])
                session.generate(greedy(constraint=spec))
                session.append([8])
                session.generate(greedy(max_new_tokens=4, ignore_eos=True))
                tokens = [token for token, _ in session.tokens().result(timeout=20)]
            for place in range(len(tokens) - 4, len(tokens)):
                assert tokens[place] == int(full_logprobs(tokens[:place])[-1].argmax())


@pytest.mark.parametrize("settings", [{}, {"page_size": 4, "max_total_tokens": 88}], ids=str)
@pytest.mark.parametrize("start", [None, 2])
def test_log_probabilities_of_forced_tokens_are_the_models(
    make_engine: MakeEngine,
    trees: dict[Regex, Any],
    give_grammar: Give,
    full_logprobs: Callable[..., torch.Tensor],
    settings: Any,
    start: int | None,
) -> None:
    engine = make_engine(**settings)
    promise_too_much(engine)
    for spec, tree in trees.items():
        give_grammar(engine, spec, tree)
    sessions = []
    for prompt, spec in zip(PROMPTS, trees, strict=True):
        session = engine.open()
        session.append(prompt)
        sessions.append(
            (session, prompt, session.generate(greedy(constraint=spec), top_logprobs=2, logprob_start=start))
        )
    gate = threading.Event()
    engine._core.post(lambda: gate.wait(5) and None)  # all are queued before the first step
    for session, _, _ in sessions:
        session.close()
    gate.set()
    for _, prompt, handle in sessions:
        result = handle.result(timeout=30)
        assert result.num_forced > 0
        oracle = full_logprobs([*prompt, *result.token_ids])
        assert result.logprobs is not None
        assert [entry.token for entry in result.logprobs] == list(result.token_ids)
        for place, entry in enumerate(result.logprobs, start=len(prompt) - 1):
            assert entry.logprob == pytest.approx(float(oracle[place, entry.token]), abs=1e-3)
            assert [value for value, _ in entry.top] == pytest.approx(oracle[place].topk(2).values.tolist(), abs=1e-3)
        if start is None:
            assert result.prompt_logprobs is None
        else:
            assert result.prompt_logprobs is not None
            assert [entry.token for entry in result.prompt_logprobs] == prompt[start:]
        chunks = list(handle)
        assert [token for chunk in chunks for token in chunk.token_ids] == list(result.token_ids)
        assert [entry for chunk in chunks for entry in chunk.logprobs] == list(result.logprobs)
        assert "".join(chunk.text for chunk in chunks) == result.text
    assert (engine.stats()["retractions"] > 0) == bool(settings)


def test_ends_and_limits_hold_inside_a_forced_run(engine: Engine, token_tree: Any, give_grammar: Give) -> None:
    encode = engine.tokenizer.encode
    spec = Choice(("x",))
    text = "the theatre there, then the thin thing"
    give_grammar(engine, spec, token_tree([encode(text), [9]], [END]))
    head = {"logit_bias": {encode(text)[0]: 1e6}, "constraint": spec}

    def run(**params: Any) -> dict[str, Any]:
        answers = [
            engine.generate("12", greedy(**head, **params, jump_forward=jumps), return_logprob=wants)
            for jumps in (True, False)
            for wants in (True, False)
        ]
        for answer in answers:
            assert (answer["text"], answer["output_ids"]) == (answers[-1]["text"], answers[-1]["output_ids"])
            assert answer["meta_info"]["finish_reason"] == answers[-1]["meta_info"]["finish_reason"]
            assert answer["meta_info"]["completion_tokens"] == answers[-1]["meta_info"]["completion_tokens"]
        logprobs = [
            answer["meta_info"]["output_token_logprobs"]
            for answer in answers
            if "output_token_logprobs" in answer["meta_info"]
        ]
        for one, other in zip(*logprobs, strict=True):
            assert one[0] == pytest.approx(other[0], abs=1e-4)
        assert answers[0]["meta_info"]["forced_tokens"] > 0
        return answers[0]

    assert run()["text"] == text
    assert run(max_new_tokens=4)["meta_info"]["finish_reason"] == {"type": "length"}
    assert run(stop=(", then",))["text"] == "the theatre there"
    assert run(stop=("eatre th",))["text"] == "the th"
    assert run(stop_token_ids=(encode(text)[5],))["output_ids"] == encode(text)[:5]
    assert run(stop=("theatre",), min_new_tokens=30)["text"] == text
    assert run(stop_regex="th(in|ing)")["text"] == "the theatre there, then the "


def test_a_grammar_that_fails_to_force_fails_alone(
    engine: Engine, token_tree: Any, give_grammar: Give, assert_nothing_held: Clean
) -> None:
    bad = token_tree([[10, 11, 12], [10, 13, 14]], [END])
    good = token_tree([[10, 11, 12], [10, 13, 14]], [END])
    made = bad.matcher

    def matcher() -> Any:
        broken = made()
        broken.forced = lambda: [] if not broken.path else 1 // 0
        return broken

    bad.matcher = matcher
    give_grammar(engine, Regex("bad"), bad)
    give_grammar(engine, Regex("good"), good)
    first, second = engine.open(), engine.open()
    failing = first.generate(greedy(constraint=Regex("bad")))
    fine = second.generate(greedy(constraint=Regex("good")))
    first.close()
    second.close()
    assert len(fine.result(timeout=20).token_ids) == 3
    with pytest.raises(ZeroDivisionError):
        failing.result(timeout=20)
    assert_nothing_held(engine)


def test_samples_and_forks_each_follow_the_grammar_by_themselves(
    engine: Engine, trees: dict[Regex, Any], give_grammar: Give, assert_nothing_held: Clean
) -> None:
    spec, tree = list(trees.items())[-1]
    give_grammar(engine, spec, tree)
    drawn = greedy(constraint=spec, temperature=3.0, seed=5, n=6)
    answers = engine.generate("12 + 30", drawn)
    assert {tuple(answer["output_ids"]) for answer in answers} <= tree.whole
    assert len({tuple(answer["output_ids"]) for answer in answers}) > 1
    assert ids(answers) == ids(engine.generate("12 + 30", drawn))
    with engine.open() as session:
        session.append("12 + 30")
        session.generate(greedy(constraint=spec))
        children = session.fork(3)
        handles = [child.generate(greedy(constraint=spec, temperature=3.0, seed=i)) for i, child in enumerate(children)]
        for child in children:
            child.close()
    for handle in handles:
        assert handle.result(timeout=20).token_ids in tree.whole
    assert_nothing_held(engine)


@pytest.mark.parametrize("jump_forward", [True, False])
def test_a_generation_says_which_of_its_tokens_were_forced(engine: Engine, jump_forward: bool) -> None:
    with engine.open() as session:
        session.append("the answer is ")
        params = greedy(constraint=Regex("(yes|no), that is all there is to say[0-9]"), jump_forward=jump_forward)
        result = session.generate(params).result(timeout=20)
        origins = [origin for _, origin in session.tokens().result(timeout=20)][-len(result.token_ids) :]
    assert len(result.forced) == len(result.token_ids)
    assert result.forced == tuple(origin == "forced" for origin in origins)
    assert sum(result.forced) == result.num_forced
    assert any(result.forced) is jump_forward
    assert not all(result.forced)
