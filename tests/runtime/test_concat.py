"""Concatenation, by plain forwards over whole sequences: no cache, no pages, no turning of keys.

Positions and values, what attention did and did not see, who may find such KV, and what memory pressure does to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from runtime.attention.base import KVPool
from runtime.attention.torch_attention import TorchAttention
from runtime.batch import ForwardBatch
from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.handle import Handle
from runtime.model.config import ModelConfig, RopeScaling
from runtime.model.llama import Llama
from runtime.model.loader import random_model
from runtime.sampling.params import SamplingParams
from runtime.session import Session
from runtime.startup import assemble
from runtime.tokenizer import Tokenizer

MakeEngine = Callable[..., Engine]
Clean = Callable[[Engine], None]

KV = tuple[torch.Tensor, torch.Tensor]


class _Shifted(TorchAttention):
    """Attention of tokens whose positions all begin later than at 0."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self._shift = shift

    def prepare(self, batch: ForwardBatch) -> None:
        super().prepare(replace(batch, positions=batch.positions - self._shift))


@dataclass(frozen=True)
class Oracle:
    model: Llama
    shape: ModelConfig

    def forward(
        self, tokens: Sequence[int], before: KV | None = None, shift: int = 0, again: int = 0
    ) -> tuple[torch.Tensor, KV]:
        """Log probabilities [N, V] of `tokens` behind KV that is there, and all of the KV [layers, …, N].

        Args:
            again: of the first so many tokens the KV is there too, and stays as it is.
        """
        held = 0 if before is None else before[0].shape[1]
        start = held - again
        count = start + len(tokens)
        shape = self.shape
        pool = KVPool(
            num_layers=shape.num_layers,
            num_pages=count + 1,
            page_size=1,
            num_kv_heads=shape.num_kv_heads,
            head_dim=shape.head_dim,
        )
        slots = torch.arange(1, count + 1)
        if before is not None:
            pool.put(slots[:held], *before)
        batch = ForwardBatch(
            token_ids=torch.tensor(tokens),
            positions=torch.arange(start, count) + shift,
            out_slots=torch.cat((torch.zeros(again, dtype=torch.int64), slots[held:])),
            query_starts=torch.tensor([0, len(tokens)], dtype=torch.int32),
            context_lens=torch.tensor([count], dtype=torch.int32),
            page_table=slots.to(torch.int32)[None],
            num_decodes=0,
            logit_rows=torch.arange(len(tokens)),
            page_size=1,
        )
        with torch.inference_mode():
            logits = self.model.forward(batch, pool, _Shifted(shift))
        return logits.log_softmax(dim=1), pool.take(slots)

    def concatenated(self, parent: Sequence[int], parts: Sequence[tuple[Sequence[int], Sequence[int]]]) -> KV:
        """KV of `parent` and, behind it, of parts: each as (the beginning it has seen, its own tokens).

        A part is computed alone with its beginning, all of it at positions shifted so that the part stands where it
        is put: a rotary model sees differences of positions only.
        """
        whole = self.forward(parent)[1]
        for beginning, own in parts:
            shift = whole[0].shape[1] - len(beginning)
            if own:
                keys, values = self.forward([*beginning, *own], shift=shift)[1]
                cut = len(beginning)
                whole = (torch.cat((whole[0], keys[:, cut:]), 1), torch.cat((whole[1], values[:, cut:]), 1))
        return whole

    def greedy(self, before: KV, last: int, count: int) -> list[int]:
        """The likeliest next tokens behind KV whose last token is `last`."""
        logprobs, held = self.forward([last], before, again=1)
        found = [int(logprobs[-1].argmax())]
        while len(found) < count:
            logprobs, held = self.forward(found[-1:], held)
            found.append(int(logprobs[-1].argmax()))
        return found


def pool_kv(engine: Engine, session: Session) -> KV:
    """What the engine's pool has for a session that nothing runs for."""
    read: Handle[KV] = Handle()

    def look() -> None:
        sequence = session._state.sequence
        assert sequence is not None
        slots = sequence.slots(0, sequence.kv_len, engine._core.cache.page_size)
        read.finish(engine._core.runner._pool.take(torch.tensor(slots)))

    engine._core.post(look)
    return read.result(timeout=20)


BEGINNING = list(range(20, 57))
OWN = ([60, 61, 62], [70] * 21, [], [80, 81, 83, 85, 87])
SETTINGS = [
    {"page_size": 16},
    {"page_size": 1, "chunked_prefill_size": 3},
    {"page_size": 4, "chunked_prefill_size": 1, "attention": "cpu"},
    {"page_size": 16, "policy": "fcfs", "attention": "cpu"},
]


@pytest.fixture(scope="session")
def oracle(tiny_model: Llama, tiny_shape: ModelConfig) -> Oracle:
    return Oracle(tiny_model, tiny_shape)


def fill(session: Session) -> None:
    """Has everything computed."""
    session.generate(SamplingParams(max_new_tokens=0)).result(timeout=20)


def tokens_of(session: Session) -> list[int]:
    return [token for token, _ in session.tokens().result(timeout=20)]


def write(session: Session, count: int = 6, **more: Any) -> list[int]:
    params = SamplingParams(max_new_tokens=count, temperature=0, ignore_eos=True, **more)
    return list(session.generate(params).result(timeout=20).token_ids)


def joined(engine: Engine, own: Sequence[Sequence[int]] = OWN, beginning: Sequence[int] = BEGINNING) -> Session:
    """A session with the parts of forks behind the beginning; the forks are closed."""
    session = engine.open()
    session.append(beginning)
    forks = session.fork(len(own))
    for fork, tokens in zip(forks, own, strict=True):
        fork.append(tokens)
    assert session.concat(forks).result(timeout=20) == sum(map(len, own))
    for fork in forks:
        fork.close()
    return session


def assert_same(found: KV, wanted: KV, tolerance: float = 1e-4) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() < tolerance


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_parts_have_the_kv_they_would_have_alone_at_their_new_positions(
    make_engine: MakeEngine, oracle: Oracle, assert_nothing_held: Clean, settings: dict[str, Any]
) -> None:
    engine = make_engine(**settings)
    session = joined(engine)
    assert tokens_of(session) == [*BEGINNING, *(token for own in OWN for token in own)]
    computed = engine.stats()["computed_tokens"]
    fill(session)
    assert engine.stats()["computed_tokens"] == computed + 1  # the last token is run for its logits, and that is all
    whole = oracle.concatenated(BEGINNING, [(BEGINNING, own) for own in OWN])
    assert_same(pool_kv(engine, session), whole)
    last = OWN[-1][-1]
    assert write(session) == oracle.greedy(whole, last, 6)
    session.close()
    assert engine.stats()["concatenated_tokens"] == sum(map(len, OWN))
    assert_nothing_held(engine)


def test_the_first_layers_keys_are_a_whole_prompts_and_later_ones_have_not_seen_the_other_parts(
    engine: Engine, oracle: Oracle
) -> None:
    with joined(engine) as session:
        fill(session)
        keys, values = pool_kv(engine, session)
        whole_keys, whole_values = oracle.forward(tokens_of(session))[1]
    assert (keys[0] - whole_keys[0]).abs().max() < 1e-5
    assert (values[0] - whole_values[0]).abs().max() < 1e-5
    second = len(BEGINNING) + len(OWN[0])  # of the first part all layers are a whole prompt's
    assert (keys[:, :second] - whole_keys[:, :second]).abs().max() < 1e-4
    assert (keys[1, second:] - whole_keys[1, second:]).abs().max() > 1e-2
    assert (values[1, second:] - whole_values[1, second:]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["linear", "llama3", "factors"])
def test_scaled_frequencies_are_the_models(tiny_shape: ModelConfig, tiny_tokenizer: Tokenizer, kind: str) -> None:
    factors = tuple(1.0 + i for i in range(tiny_shape.head_dim // 2)) if kind == "factors" else ()
    scaling = RopeScaling(kind=kind, factor=4.0, original_max_position_embeddings=64, factors=factors)
    shape = replace(tiny_shape, rope_scaling=scaling)
    model = random_model(shape, seed=3, weight_format="float32")
    config = EngineConfig.of({"max_total_tokens": 1024, "attention": "torch", "audit": "step"})
    assembled = assemble(config, model, shape, tiny_tokenizer, free_bytes=1 << 30, name="tiny")
    with Engine.of(config, assembled) as engine, joined(engine) as session:
        fill(session)
        whole = Oracle(model, shape).concatenated(BEGINNING, [(BEGINNING, own) for own in OWN])
        assert_same(pool_kv(engine, session), whole)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_forks_that_wrote_and_a_parent_that_grew(
    make_engine: MakeEngine, oracle: Oracle, assert_nothing_held: Clean, settings: dict[str, Any]
) -> None:
    engine = make_engine(**settings)
    session = engine.open()
    session.append(BEGINNING)
    forks = session.fork(2)
    handles = []
    for place, fork in enumerate(forks):
        fork.append([90 + place])
        handles.append(fork.generate(SamplingParams(max_new_tokens=5, temperature=0, ignore_eos=True)))
    session.append([100, 101])
    session.concat(forks)
    session.append([110])
    grown = [*BEGINNING, 100, 101]
    own = [[90 + place, *handle.result(timeout=20).token_ids] for place, handle in enumerate(handles)]
    assert tokens_of(session) == [*grown, *own[0], *own[1], 110]
    origins = [origin for _, origin in session.tokens().result(timeout=20)][len(grown) :]
    assert origins == [*["prompt", *["generated"] * 5] * 2, "prompt"]
    whole = oracle.concatenated(grown, [(BEGINNING, part) for part in own])
    whole = oracle.forward([110], whole)[1]
    fill(session)
    assert_same(pool_kv(engine, session), whole)
    for fork, tokens in zip(forks, own, strict=True):  # they go on as if nothing had been
        expected = oracle.forward([*BEGINNING, *tokens])[1]
        assert write(fork) == oracle.greedy(expected, tokens[-1], 6)
        fork.close()
    session.close()
    assert_nothing_held(engine)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_forks_scores_cuts_and_more_concatenation_behind_it(
    make_engine: MakeEngine, oracle: Oracle, assert_nothing_held: Clean, settings: dict[str, Any]
) -> None:
    engine = make_engine(**settings)
    session = joined(engine)
    tokens = tokens_of(session)
    whole = oracle.concatenated(BEGINNING, [(BEGINNING, own) for own in OWN])
    fork = session.fork(1)[0]
    assert write(fork) == oracle.greedy(whole, tokens[-1], 6)
    scores = session.score(["then there", "yes"], lambda rows: 1).result(timeout=20)
    for ids, row in zip(scores.token_ids, scores.logprobs, strict=True):
        table = oracle.forward([tokens[-1], *ids], whole, again=1)[0]
        assert list(row) == pytest.approx([float(table[i][token]) for i, token in enumerate(ids)], abs=1e-4)
    cut = len(BEGINNING) + len(OWN[0]) + 10  # inside the second part, inside a page
    session.truncate(cut)
    session.append([120])
    left = (whole[0][:, :cut], whole[1][:, :cut])
    after = oracle.forward([120], left)[1]
    fill(session)
    assert_same(pool_kv(engine, session), after)
    inner = session.fork(2)
    inner[0].append([130, 131])
    inner[1].append([140])
    deeper = inner[1].fork(1)
    deeper[0].append([150, 151])
    inner[1].concat(deeper)
    session.concat([inner[1], inner[0]])
    assert tokens_of(session) == [*tokens[:cut], 120, 140, 150, 151, 130, 131]
    fill(session)
    found = pool_kv(engine, session)
    one = oracle.forward([140, 150, 151], after)[1]  # a single fork's concatenation is what it would be anyway
    assert_same((found[0][:, : cut + 4], found[1][:, : cut + 4]), one)
    for each in (fork, *inner, *deeper, session):
        each.close()
    assert_nothing_held(engine)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_nobody_else_finds_it(
    make_engine: MakeEngine,
    full_logprobs: Callable[[list[int]], torch.Tensor],
    assert_nothing_held: Clean,
    settings: dict[str, Any],
) -> None:
    engine = make_engine(**settings)
    session = joined(engine)
    fill(session)
    tokens = tokens_of(session)
    table = full_logprobs(tokens)
    wanted = [float(table[i][token]) for i, token in enumerate(tokens[1:])]
    for _ in range(2):  # the second finds the first one's prompt in the tree
        with engine.open() as plain:
            plain.append(tokens)
            handle = plain.generate(SamplingParams(max_new_tokens=1, temperature=0), top_logprobs=0, logprob_start=1)
            result = handle.result(timeout=20)
        assert [entry.logprob for entry in result.prompt_logprobs or ()] == pytest.approx(wanted, abs=1e-4)
    with engine.open() as plain:
        plain.append([*tokens, 9])
        cached = plain.generate(SamplingParams(max_new_tokens=1)).result(timeout=20).cached_tokens
    page = engine._core.cache.page_size
    assert cached == len(tokens) - len(tokens) % page
    session.close()
    assert_nothing_held(engine)


@pytest.mark.parametrize("page_size", [1, 4])
def test_what_had_to_give_way_comes_back_as_it_was(
    make_engine: MakeEngine, oracle: Oracle, assert_nothing_held: Clean, page_size: int
) -> None:
    engine = make_engine(page_size=page_size, max_total_tokens=160, chunked_prefill_size=16)
    whole = oracle.concatenated(BEGINNING, [(BEGINNING, own) for own in OWN])
    expected = oracle.greedy(whole, OWN[-1][-1], 30)
    sessions = [joined(engine) for _ in range(3)]  # more than the pool holds at once
    handles = [
        session.generate(SamplingParams(max_new_tokens=30, temperature=0, ignore_eos=True)) for session in sessions
    ]
    for session in sessions:
        session.flush()
    with engine.open() as other:
        other.append([7] * 120)
        write(other, 20)
    for handle in handles:
        assert list(handle.result(timeout=60).token_ids) == expected
    stats = engine.stats()
    assert stats["evicted_tokens"] > 0
    assert stats["prompt_tokens"] == stats["cached_tokens"] + stats["computed_tokens"]
    with engine.open() as other:
        other.append([8] * 150)
        fill(other)
    forks = [session.fork(1)[0] for session in sessions]
    for session, fork in zip(sessions, forks, strict=True):
        for each in (session, fork):
            each.truncate(len(BEGINNING) + sum(map(len, OWN)))
            assert write(each, 30) == expected
    for each in (*sessions, *forks):
        each.close()
    assert_nothing_held(engine)


def test_requests_that_are_retracted_in_mid_text_go_on_with_the_same_kv(
    make_engine: MakeEngine, oracle: Oracle, assert_nothing_held: Clean
) -> None:
    engine = make_engine(page_size=4, max_total_tokens=192)
    engine._core.scheduler.estimate._start = engine._core.scheduler.estimate.ratio = 0.1
    own = [[60 + i, 61, 62, 63 + i] for i in range(3)]
    whole = oracle.concatenated(BEGINNING, [(BEGINNING, part) for part in own])
    expected = oracle.greedy(whole, own[-1][-1], 60)
    sessions = [joined(engine, own) for _ in range(3)]
    handles = [
        session.generate(SamplingParams(max_new_tokens=60, temperature=0, ignore_eos=True), top_logprobs=0)
        for session in sessions
    ]
    for session in sessions:
        session.flush()
    for handle in handles:
        assert list(handle.result(timeout=60).token_ids) == expected
    assert engine.stats()["retractions"] > 0
    for session in sessions:
        session.close()
    assert_nothing_held(engine)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_log_probabilities_of_a_prompt_with_parts_are_of_all_its_tokens(
    make_engine: MakeEngine, oracle: Oracle, assert_nothing_held: Clean, settings: dict[str, Any]
) -> None:
    engine = make_engine(**settings)
    whole = oracle.concatenated(BEGINNING, [(BEGINNING, own) for own in OWN])
    with joined(engine) as session:
        for flushed in (False, True):  # with the beginning in the cache, and with nothing there
            tokens = tokens_of(session)
            if flushed:
                engine.flush_cache()
            handle = session.generate(SamplingParams(max_new_tokens=0), top_logprobs=0, logprob_start=1)
            entries = handle.result(timeout=20).prompt_logprobs
            assert entries is not None
            assert [entry.token for entry in entries] == tokens[1:]
            table = oracle.forward(tokens, whole, again=len(tokens))[0]
            wanted = [float(table[i][token]) for i, token in enumerate(tokens[1:])]
            assert [entry.logprob for entry in entries] == pytest.approx(wanted, abs=1e-4)
            assert_same(pool_kv(engine, session), whole)
    stats = engine.stats()
    assert stats["prompt_tokens"] == stats["cached_tokens"] + stats["computed_tokens"]
    assert_nothing_held(engine)
