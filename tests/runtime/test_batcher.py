"""Batches against a plain loop over every token, and kept ones against those laid out anew."""

from __future__ import annotations

import random

import torch

from runtime.batch import ForwardBatch
from runtime.batcher import Batcher, Step, build_step
from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.plan import StepPlan


def _request(cache: PrefixCache, rng: random.Random) -> Request:
    tokens = [rng.randrange(1000) for _ in range(rng.randrange(1, 40))]
    sequence = cache.open()
    assert cache.reserve(sequence, len(tokens))
    sequence.kv_len = rng.randrange(0, len(tokens) + 1)
    prompt_len = rng.randrange(1, len(tokens) + 1)
    request = Request(
        tokens=tokens,
        sequence=sequence,
        prompt_len=prompt_len,
        max_length=len(tokens) + rng.randrange(0, 2),
        logits_from=rng.choice([None, rng.randrange(len(tokens))]),
    )
    request.rewind()
    return request


def test_against_a_loop_over_every_token() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        page_size = rng.choice([1, 4, 16])
        cache = PrefixCache(800 // page_size, page_size)
        plan = StepPlan()
        for _ in range(rng.randrange(1, 7)):
            request = _request(cache, rng)
            plan.add(request, rng.choice([1, request.num_pending, rng.randint(1, request.num_pending)]))
        step = build_step(plan, page_size)
        batch, row = step.batch, 0
        sampled, sample_rows = [], []
        wanted: dict[Request, list[tuple[int, int]]] = {}
        for index, work in enumerate(plan.work):
            request, sequence = work.request, work.request.sequence
            assert batch.query_starts[index] == row
            assert batch.context_lens[index] == request.cursor + work.num_tokens
            for position in range(request.cursor, request.cursor + work.num_tokens):
                page = sequence.pages[position // page_size]
                slot = page * page_size + position % page_size
                assert batch.page_table[index][position // page_size] == page
                assert batch.token_ids[row] == request.tokens[position]
                assert batch.positions[row] == position
                # KV that stands is never written again: its page may be shared.
                assert batch.out_slots[row] == (slot if position >= sequence.kv_len else 0)
                if request.logits_from is not None and request.logits_from <= position < len(request.tokens) - 1:
                    wanted.setdefault(request, []).append((position, row))
                row += 1
            if request.cursor + work.num_tokens == len(request.tokens) and request.num_remaining > 0:
                sampled.append(request)
                sample_rows.append(row - 1)
        assert batch.query_starts[-1] == row == batch.num_tokens
        assert batch.num_decodes == len(plan.decodes)
        assert list(step.sampled) == sampled
        assert batch.logit_rows[: len(sampled)].tolist() == sample_rows
        got = iter(batch.logit_rows[len(sampled) :].tolist())
        for piece in step.known:
            rows = [(piece.first + i, next(got)) for i in range(piece.count)]
            assert wanted.pop(piece.request) == rows
        assert not wanted
        assert next(got, None) is None


def test_a_known_row_in_a_piece_of_one_token_is_not_forgotten() -> None:
    cache = PrefixCache(4, 4)
    request = Request(tokens=[5, 6, 7], sequence=cache.open(), prompt_len=3, max_length=4, logits_from=0)
    assert cache.reserve(request.sequence, 3)
    plan = StepPlan()
    plan.add(request, 1)
    (rows,) = build_step(plan, 4).known
    assert (rows.first, rows.count) == (0, 1)


def _same(step: Step, other: Step) -> None:
    assert step.sampled == other.sampled
    assert step.known == other.known
    for name in ForwardBatch.__slots__:
        mine, theirs = getattr(step.batch, name), getattr(other.batch, name)
        if isinstance(mine, torch.Tensor):
            assert mine.dtype is theirs.dtype, name
            assert mine.tolist() == theirs.tolist(), name
        else:
            assert mine == theirs, name


def _decoding(cache: PrefixCache, rng: random.Random) -> Request:
    tokens = [rng.randrange(1000) for _ in range(rng.randrange(1, 20))]
    sequence = cache.open()
    assert cache.reserve(sequence, len(tokens))
    sequence.kv_len = len(tokens) - 1
    request = Request(tokens=tokens, sequence=sequence, prompt_len=len(tokens), max_length=len(tokens) + 30)
    request.rewind()
    return request


def _disturb(requests: list[Request], cache: PrefixCache, rng: random.Random) -> None:
    """What may happen between two steps."""
    event, request = rng.randrange(12), rng.choice(requests)
    if event == 0:
        requests.remove(request)
    elif event == 1:
        requests.append(_decoding(cache, rng))
    elif event == 2:
        rng.shuffle(requests)
    elif event == 3:  # the tree had the same page already
        request.sequence.pages[0] = rng.randrange(1, 50)
    elif event == 4:
        request.sequence.kv_len = request.cursor + 1
    elif event == 5:  # a grammar forced some more
        request.tokens.extend([7, 8, 9])
        assert cache.reserve(request.sequence, len(request.tokens))
    elif event == 6:
        request.logits_from = request.cursor
    elif event == 7 and request.cursor > 3:  # taken back
        request.sequence.kv_len -= 3
        del request.tokens[-3:]
        request.sequence.pages = request.sequence.pages[: request.cursor - 3 + 1]
        request.rewind()
        assert cache.reserve(request.sequence, len(request.tokens))


def test_what_is_kept_between_steps_is_what_would_be_laid_out_anew() -> None:
    for seed in range(80):
        rng = random.Random(seed)
        page_size = rng.choice([1, 4, 16])
        cache, batcher = PrefixCache(4000 // page_size, page_size), Batcher(page_size)
        requests = [_decoding(cache, rng) for _ in range(rng.randrange(1, 6))]
        before: list[tuple[Step, Step]] = []
        for _ in range(40):
            plan = StepPlan()
            for request in requests:
                plan.add(request, request.num_pending)
            before.append((batcher.build(plan), build_step(plan, page_size)))
            _same(*before[-1])
            for request in requests:
                request.cursor = len(request.tokens)
                request.sequence.kv_len = max(request.sequence.kv_len, request.cursor)
                request.tokens.append(rng.randrange(1000))
                assert cache.reserve(request.sequence, len(request.tokens))
            if rng.random() < 0.2:
                _disturb(requests, cache, rng)
            requests = requests or [_decoding(cache, rng)]
        for mine, theirs in before:  # nothing is written over that was handed out
            _same(mine, theirs)
