"""ModelRunner: the whole path, and that a token's logits have the same bits however it came to be computed."""

from __future__ import annotations

import torch

from runtime.attention import registry
from runtime.attention.base import KVPool
from runtime.batch import ForwardBatch
from runtime.model.config import ModelConfig
from runtime.model.loader import random_model, tiny_config
from runtime.runner import ModelRunner


def make_runner(
    config: ModelConfig, attention: str = "auto", weight_format: str = "auto"
) -> tuple[ModelRunner, KVPool]:
    pool = KVPool(
        num_layers=config.num_layers,
        num_pages=64,
        page_size=4,
        num_kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
    )
    model = random_model(config, 3, weight_format=weight_format)
    return ModelRunner(model, pool, registry.create(attention, config, 4)), pool


def batch_of(news: list[tuple[list[int], int, list[int]]], *, rerun: bool = False) -> ForwardBatch:
    """`news`: (pages, cached tokens, next tokens) of each sequence."""
    positions, slots, starts, lens = [], [], [0], []
    for pages, cached, ids in news:
        positions += range(cached, cached + len(ids))
        slots += [pages[p // 4] * 4 + p % 4 for p in range(cached, cached + len(ids))]
        starts.append(starts[-1] + len(ids))
        lens.append(cached + len(ids))
    return ForwardBatch(
        token_ids=torch.tensor([token for _, _, ids in news for token in ids]),
        positions=torch.tensor(positions),
        out_slots=torch.zeros(len(slots), dtype=torch.int64) if rerun else torch.tensor(slots),
        query_starts=torch.tensor(starts, dtype=torch.int32),
        context_lens=torch.tensor(lens, dtype=torch.int32),
        page_table=torch.tensor([pages for pages, _, _ in news], dtype=torch.int32),
        num_decodes=sum(len(ids) == 1 for _, _, ids in news),
        logit_rows=torch.tensor([start - 1 for start in starts[1:]]),
        page_size=4,
    )


IDS = [5, 9, 300, 17, 44, 2, 8, 101, 7, 60, 33]


def test_the_fast_path_agrees_with_the_plain_one() -> None:
    config = tiny_config()
    results = []
    for attention, weight_format in (("cpu", "float32"), ("torch", "float32-torch")):
        runner, _ = make_runner(config, attention, weight_format)
        results.append(runner.run(batch_of([([1, 2, 3], 0, IDS), ([4, 5, 6], 0, IDS[:6]), ([7, 8, 9], 0, IDS[:1])])))
    assert results[0].dtype == torch.float32
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=0)


def test_logits_have_the_same_bits_cold_cached_alone_in_a_batch_and_run_again() -> None:
    runner, _ = make_runner(tiny_config())
    cold = runner.run(batch_of([([1, 2, 3], 0, IDS)]))
    runner.run(batch_of([([4, 5, 6], 0, IDS[:7])]))
    cached = runner.run(batch_of([([4, 5, 6], 7, IDS[7:])]))
    runner.run(batch_of([([7, 8, 9], 0, IDS[:10])]))
    others = [([10, 11, 12], 0, IDS[::-1]), ([13, 14, 15], 0, IDS[2:9])]
    together = runner.run(batch_of([*others, ([7, 8, 9], 10, IDS[10:])]))
    again = runner.run(batch_of([([1, 2, 3], 10, IDS[10:])], rerun=True))
    assert torch.equal(cached, cold)
    assert torch.equal(together[2:], cold)
    assert torch.equal(again, cold)


def test_copied_slots_serve_a_fork() -> None:
    runner, _ = make_runner(tiny_config())
    runner.run(batch_of([([1, 2, 3], 0, IDS[:6])]))
    runner.copy_slots([(2 * 4, 5 * 4), (2 * 4 + 1, 5 * 4 + 1)])
    runner.copy_slots([])
    fork = runner.run(batch_of([([1, 5, 6], 6, [77])]))
    parent = runner.run(batch_of([([1, 2, 3], 6, [77])]))
    assert torch.equal(fork, parent)


def test_warming_up_touches_no_slot_but_the_padding_and_says_what_runs() -> None:
    runner, pool = make_runner(tiny_config())
    pool.keys.fill_(7.0)
    runner.warm_up()
    assert bool((pool.keys[:, 4:] == 7.0).all())
    assert runner.describe() == {
        "weight_format": "float32",
        "attention": "cpu",
        "layers": "cpu",
        "threads": str(torch.get_num_threads()),
    }
