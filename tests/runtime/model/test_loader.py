"""Loading: the weight formats of one file give one model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from runtime.attention.base import KVPool
from runtime.attention.torch_attention import TorchAttention
from runtime.batch import ForwardBatch
from runtime.errors import ConfigError
from runtime.model import hub
from runtime.model.config import ModelConfig
from runtime.model.hub import ModelFiles
from runtime.model.llama import Llama
from runtime.model.loader import load_model


def logits(model: Llama, tokens: list[int]) -> torch.Tensor:
    """[N, vocab_size] of one sequence: one pass over all tokens but the last, then the last alone."""
    config, count = model.config, len(tokens)
    pool = KVPool(
        num_layers=config.num_layers,
        num_pages=count + 1,
        page_size=1,
        num_kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
    )
    slots = torch.arange(1, count + 1)
    results = []
    for first, end in ((0, count - 1), (count - 1, count)):
        batch = ForwardBatch(
            token_ids=torch.tensor(tokens[first:end]),
            positions=torch.arange(first, end),
            out_slots=slots[first:end],
            query_starts=torch.tensor([0, end - first], dtype=torch.int32),
            context_lens=torch.tensor([end], dtype=torch.int32),
            page_table=slots.to(torch.int32)[None],
            num_decodes=int(end - first == 1),
            logit_rows=torch.arange(end - first),
            page_size=1,
        )
        with torch.inference_mode():
            results.append(model.forward(batch, pool, TorchAttention()))
    return torch.cat(results)


def smollm2_mix(name: str) -> str:
    return "Q8_0" if "embed" in name else "Q4_1"


def parts_apart(name: str) -> str:
    return "Q4_0" if "k_proj" in name or "down" in name else "F16" if "up_proj" in name else "Q8_0"


@pytest.mark.parametrize(
    ("type_of", "options", "label"),
    [
        (smollm2_mix, {}, "blocks (Q4_1, Q8_0; float32 values)"),
        (smollm2_mix, {"tied": False, "biased": True}, "blocks (Q4_1; float32 values)"),
        (parts_apart, {}, "blocks (Q4_0, Q8_0; float32 values)"),
        (lambda name: "F16", {}, "float32"),
    ],
)
def test_blocks_and_float32_give_the_same_bits(
    make_quantized: Callable[..., ModelFiles], type_of: Callable[[str], str], options: dict[str, bool], label: str
) -> None:
    files = make_quantized(type_of, **options)
    config = ModelConfig.load(files)
    models = {name: load_model(files, config, weight_format=name) for name in ("blocks", "float32")}
    assert [model.weight_format for model in models.values()] == [label, "float32"]
    tokens = [5, 9, 30, 17, 44, 2, 8, 101, 7, 60, 33]
    expected = logits(models["float32"], tokens)
    assert torch.equal(logits(models["blocks"], tokens), expected)


@pytest.mark.parametrize("name", ["float32-torch", "bfloat16"])
def test_other_formats_read_quantized_files_as_before(make_quantized: Callable[..., ModelFiles], name: str) -> None:
    files = make_quantized(smollm2_mix)
    model = load_model(files, ModelConfig.load(files), weight_format=name)
    assert model.weight_format == name
    assert logits(model, [1, 2, 3]).isfinite().all()


@pytest.mark.parametrize(
    ("type_of", "label"),
    [(smollm2_mix, "int8 (Q4_1, Q8_0; 8-bit rows)"), (lambda name: "F16", "int8 (Q8_0; 8-bit rows)")],
)
def test_int8_keeps_blocks_or_makes_them_and_is_near_float32(
    make_quantized: Callable[..., ModelFiles], type_of: Callable[[str], str], label: str
) -> None:
    files = make_quantized(type_of)
    model = load_model(files, ModelConfig.load(files), weight_format="int8")
    assert model.weight_format == label
    tokens = [5, 9, 30, 17, 44, 2, 8, 101, 7, 60, 33]
    expected = logits(load_model(files, ModelConfig.load(files), weight_format="float32"), tokens)
    error = (logits(model, tokens) - expected).norm() / expected.norm()
    assert 0 < error < 0.15  # attention of random weights is sharp; each product is checked in test_dot_linear


@pytest.mark.parametrize(
    ("type_of", "label"), [(smollm2_mix, "int8 (Q4_1, Q8_0; 8-bit rows)"), (lambda name: "F16", "float32")]
)
def test_unless_told_otherwise_blocks_are_multiplied_in_integers_and_all_else_in_float32(
    make_quantized: Callable[..., ModelFiles], type_of: Callable[[str], str], label: str
) -> None:
    files = make_quantized(type_of)
    assert load_model(files, ModelConfig.load(files)).weight_format == label


def test_safetensors_have_no_blocks_to_keep(tiny: Any) -> None:
    model = load_model(tiny.safetensors, ModelConfig.load(tiny.safetensors), weight_format="blocks")
    assert model.weight_format == "float32"


def test_an_unknown_format_is_refused(tiny: Any) -> None:
    with pytest.raises(ConfigError, match="weight_format='q9' is not allowed"):
        load_model(tiny.gguf, ModelConfig.load(tiny.gguf), weight_format="q9")


@pytest.mark.model
def test_the_default_model_has_the_same_logits_in_both_formats() -> None:
    files = hub.resolve("smollm2")
    config = ModelConfig.load(files)
    tokens = torch.randint(0, config.vocab_size, (24,), generator=torch.Generator().manual_seed(0)).tolist()
    kept = load_model(files, config, weight_format="blocks")
    assert kept.weight_format == "blocks (Q4_1, Q8_0; float32 values)"
    found = logits(kept, tokens)
    del kept
    assert torch.equal(found, logits(load_model(files, config, weight_format="float32"), tokens))
