"""Llama against transformers' LlamaForCausalLM on random tiny weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from runtime.attention.base import KVPool
from runtime.attention.torch_attention import TorchAttention
from runtime.batch import ForwardBatch
from runtime.model.config import ModelConfig, RopeScaling
from runtime.model.llama import Llama
from runtime.model.loader import random_model, random_weights, tiny_config

LLAMA3 = RopeScaling(
    kind="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)
LLAMA3_FIELDS = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
CONFIGS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_word_embeddings": False},
    "all heads": {"num_kv_heads": 4},
    "one kv head": {"num_kv_heads": 1, "num_heads": 2, "head_dim": 24},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "head_dim apart": {"head_dim": 32},
    "llama3": {"rope_scaling": LLAMA3},
    "linear": {"rope_scaling": RopeScaling(kind="linear", factor=4.0)},
}


def reference(config: ModelConfig, seed: int) -> LlamaForCausalLM:
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {"rope_type": config.rope_scaling.kind, "factor": config.rope_scaling.factor}
    if rope["rope_type"] == "llama3":
        rope |= {name: getattr(config.rope_scaling, name) for name in LLAMA3_FIELDS}
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            rms_norm_eps=config.rms_norm_eps,
            rope_parameters=rope,
            max_position_embeddings=config.max_position_embeddings,
            tie_word_embeddings=config.tie_word_embeddings,
            attention_bias=config.attention_bias,
            mlp_bias=config.mlp_bias,
        )
    )
    missing, unexpected = model.load_state_dict(dict(random_weights(config, seed)), strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    model.tie_weights()
    return model.eval()


class Sequences:
    """Several growing sequences over one pool, pages handed out in a shuffled order."""

    def __init__(self, config: ModelConfig, page_size: int, count: int, room: int = 64) -> None:
        pages = -(-room // page_size)
        order = 1 + torch.randperm(pages * count, generator=torch.Generator().manual_seed(3))
        self.table = order.view(count, pages).to(torch.int32)
        self.page_size = page_size
        self.lengths = [0] * count
        self.pool = KVPool(
            num_layers=config.num_layers,
            num_pages=pages * count + 1,
            page_size=page_size,
            num_kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
        )

    def batch(self, news: Sequence[tuple[int, list[int]]], *, all_rows: bool = True) -> ForwardBatch:
        """`news`: (sequence, its next tokens), longer ones first."""
        tokens, positions, slots, starts, lens = [], [], [], [0], []
        for index, ids in news:
            for position in range(self.lengths[index], self.lengths[index] + len(ids)):
                page = int(self.table[index, position // self.page_size])
                positions.append(position)
                slots.append(page * self.page_size + position % self.page_size)
            tokens += ids
            self.lengths[index] += len(ids)
            starts.append(len(tokens))
            lens.append(self.lengths[index])
        rows = range(len(tokens)) if all_rows else [end - 1 for end in starts[1:]]
        return ForwardBatch(
            token_ids=torch.tensor(tokens),
            positions=torch.tensor(positions),
            out_slots=torch.tensor(slots),
            query_starts=torch.tensor(starts, dtype=torch.int32),
            context_lens=torch.tensor(lens, dtype=torch.int32),
            page_table=self.table[[index for index, _ in news]],
            num_decodes=sum(len(ids) == 1 for _, ids in news),
            logit_rows=torch.tensor(list(rows), dtype=torch.int64),
            page_size=self.page_size,
        )


def forward(model: Llama, sequences: Sequences, batch: ForwardBatch) -> torch.Tensor:
    with torch.inference_mode():
        return model.forward(batch, sequences.pool, TorchAttention())


def token_ids(count: int, seed: int = 7) -> list[int]:
    return torch.randint(512, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def expected(config: ModelConfig, seed: int, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return reference(config, seed)(torch.tensor([ids])).logits[0]


@pytest.mark.parametrize("page_size", [1, 16])
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_those_of_transformers(name: str, page_size: int) -> None:
    config = tiny_config(**CONFIGS[name])
    model, ids = random_model(config, 1), token_ids(45)
    sequences = Sequences(config, page_size, 1)
    logits = forward(model, sequences, sequences.batch([(0, ids)]))
    torch.testing.assert_close(logits, expected(config, 1, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("page_size", [1, 16])
def test_chunks_a_cached_prefix_and_decodes_give_what_one_pass_gives(page_size: int) -> None:
    config = tiny_config()
    model, ids = random_model(config, 1), token_ids(40)
    sequences = Sequences(config, page_size, 1)
    pieces = [ids[:17], ids[17:18], ids[18:37], *([token] for token in ids[37:])]
    logits = torch.cat([forward(model, sequences, sequences.batch([(0, piece)])) for piece in pieces])
    torch.testing.assert_close(logits, expected(config, 1, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("page_size", [1, 16])
def test_sequences_packed_into_one_batch_do_not_touch_each_other(page_size: int) -> None:
    config = tiny_config()
    model = random_model(config, 1)
    prompts = [token_ids(count, seed) for seed, count in enumerate((30, 11, 21, 8))]
    sequences = Sequences(config, page_size, 4)
    forward(model, sequences, sequences.batch([(1, prompts[1][:10]), (3, prompts[3][:7]), (0, prompts[0][:5])]))
    news = [(0, prompts[0][5:]), (2, prompts[2]), (1, prompts[1][10:]), (3, prompts[3][7:])]
    batch = sequences.batch(news, all_rows=False)
    assert batch.num_decodes == 2
    logits = forward(model, sequences, batch)
    for row, (index, _) in enumerate(news):
        wanted = expected(config, 1, prompts[index])[-1]
        torch.testing.assert_close(logits[row], wanted, atol=1e-4, rtol=0)


def test_logits_come_in_the_order_asked_for_and_none_when_none_are_asked_for() -> None:
    config = tiny_config()
    model, ids = random_model(config, 1), token_ids(12)
    sequences = Sequences(config, 16, 2)
    whole = sequences.batch([(0, ids)])
    every = forward(model, sequences, whole)
    turned = sequences.batch([(1, ids)])
    object.__setattr__(turned, "logit_rows", torch.tensor([7, 2, 11]))
    torch.testing.assert_close(forward(model, sequences, turned), every[[7, 2, 11]])
    object.__setattr__(turned, "logit_rows", torch.empty(0, dtype=torch.int64))
    assert forward(model, sequences, turned).shape == (0, config.vocab_size)


def test_a_step_without_logits_still_fills_the_cache() -> None:
    config = tiny_config()
    model, ids = random_model(config, 1), token_ids(20)
    sequences = Sequences(config, 16, 1)
    first = sequences.batch([(0, ids[:19])])
    object.__setattr__(first, "logit_rows", torch.empty(0, dtype=torch.int64))
    forward(model, sequences, first)
    logits = forward(model, sequences, sequences.batch([(0, ids[19:])]))
    torch.testing.assert_close(logits[0], expected(config, 1, ids)[-1], atol=1e-4, rtol=0)
