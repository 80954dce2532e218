"""Checkpoint tensors to a Llama, layer by layer, so that a matrix and its copy exist together only briefly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from runtime.model.block_linear import BlockLinear, block_lookup
from runtime.model.blocks import BlockMatrix
from runtime.model.config import ModelConfig
from runtime.model.dot_linear import DotLinear
from runtime.model.hub import ModelFiles
from runtime.model.layer import LlamaLayer
from runtime.model.layers import best_ops
from runtime.model.linear import (
    KEEP_BLOCKS,
    Linear,
    PackedLinear,
    TorchLinear,
    format_label,
    make_linear,
    resolve_weight_format,
)
from runtime.model.llama import Llama
from runtime.model.weights import Weight, block_kinds, expected_shapes, iter_weights

__all__ = ["assemble", "load_model", "random_model", "random_weights", "tiny_config"]

_FUSED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def load_model(files: ModelFiles, config: ModelConfig, *, weight_format: str = "auto") -> Llama:
    """Reads a model.

    Args:
        files: where its weights are.
        config: its shape.
        weight_format: how matrices are kept (see `runtime.model.linear.resolve_weight_format`).

    Raises:
        DamagedModel: a tensor is missing, strange or misshapen.
        ConfigError: no weight format of that name, or not on this machine.
    """
    weight_format = resolve_weight_format(weight_format, block_kinds(files))
    weights = iter_weights(files, config, keep_blocks=weight_format in KEEP_BLOCKS)
    return assemble(weights, config, weight_format=weight_format)


def assemble(tensors: Iterable[tuple[str, Weight]], config: ModelConfig, *, weight_format: str) -> Llama:
    """Builds a model from its named weights, complete and of the right shapes, layer by layer or in any order.

    Raises:
        ConfigError: no weight format of that name, or not on this machine.
    """
    weight_format = resolve_weight_format(weight_format)
    tensors_per_layer = sum(name.startswith("model.layers.0.") for name in expected_shapes(config))
    parts: dict[int, dict[str, Any]] = {index: {} for index in range(config.num_layers)}
    layers: dict[int, LlamaLayer] = {}
    ends: dict[str, Any] = {}
    for name, tensor in _read_ahead(tensors):
        if not name.startswith("model.layers."):
            ends[name] = tensor
            continue
        number, _, rest = name.removeprefix("model.layers.").partition(".")
        parts[int(number)][rest] = tensor
        if len(parts[int(number)]) == tensors_per_layer:
            layers[int(number)] = _layer(parts.pop(int(number)), weight_format)
    embedding, head = _ends(ends.pop("model.embed_tokens.weight"), ends.pop("lm_head.weight", None), weight_format)
    return Llama(
        config=config,
        weight_format=format_label(weight_format, [head, *_matrices(layers.values())]),
        embedding=embedding,
        layers=tuple(layers[index] for index in range(config.num_layers)),
        norm=ends["model.norm.weight"],
        head=head,
        ops=best_ops(),
    )


def _read_ahead(tensors: Iterable[tuple[str, Weight]]) -> Iterator[tuple[str, Weight]]:
    """Reads and dequantizes the next tensor in a thread while the caller packs this one."""
    iterator = iter(tensors)
    with ThreadPoolExecutor(1, thread_name_prefix="sgdsl-weights") as reader:
        coming = reader.submit(next, iterator, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, iterator, None)
            yield item


def _layer(parts: dict[str, Any], weight_format: str) -> LlamaLayer:
    """Takes the parts out of `parts`, so that they are gone as soon as their matrix stands."""

    def matrix(field: str) -> Linear:
        biases = [parts.pop(f"{name}.bias") for name in _FUSED[field] if f"{name}.bias" in parts]
        weights = [parts.pop(f"{name}.weight") for name in _FUSED[field]]
        return make_linear(weight_format, _stacked(weights), torch.cat(biases) if biases else None)

    return LlamaLayer(
        attention_norm=parts.pop("input_layernorm.weight"),
        qkv=matrix("qkv"),
        output=matrix("output"),
        mlp_norm=parts.pop("post_attention_layernorm.weight"),
        gate_up=matrix("gate_up"),
        down=matrix("down"),
    )


def _stacked(weights: list[Weight]) -> Weight:
    """One matrix of the rows of all; in blocks where they are all in blocks of one kind."""
    if len(weights) == 1:
        return weights[0]
    blocks = [weight for weight in weights if isinstance(weight, BlockMatrix)]
    if len(blocks) == len(weights) and len({block.kind for block in blocks}) == 1:
        return BlockMatrix.stack(blocks)
    return torch.cat([_values(weight) for weight in weights])


def _values(weight: Weight) -> torch.Tensor:
    return torch.from_numpy(weight.dequantize()) if isinstance(weight, BlockMatrix) else weight


def _matrices(layers: Iterable[LlamaLayer]) -> Iterator[Linear]:
    for layer in layers:
        yield from (layer.qkv, layer.output, layer.gate_up, layer.down)


def _ends(embedding: Weight, head: Weight | None, weight_format: str) -> tuple[Any, Linear]:
    """Embedding lookup and head; one storage for both where they are tied and the format gives rows back."""
    linear = make_linear(weight_format, embedding if head is None else head)
    if head is None and isinstance(linear, TorchLinear | PackedLinear | BlockLinear | DotLinear):
        return linear.rows, linear
    return block_lookup(embedding) if isinstance(embedding, BlockMatrix) else TorchLinear(embedding).rows, linear


def tiny_config(**overrides: Any) -> ModelConfig:
    """The shape of a model small enough for tests: 2 layers, hidden size 64, 512 tokens of vocabulary."""
    base = ModelConfig(
        architecture="llama",
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=16,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_ids=(2,),
    )
    return replace(base, **overrides)


def random_weights(config: ModelConfig, seed: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a checkpoint of that shape, seeded: the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in expected_shapes(config).items():
        if name.endswith("norm.weight"):
            yield name, 1.0 + 0.1 * torch.randn(shape, generator=generator)
        else:
            yield name, torch.randn(shape, generator=generator) * shape[-1] ** -0.5


def random_model(config: ModelConfig, seed: int = 0, *, weight_format: str = "auto") -> Llama:
    """A model of that shape with `random_weights`."""
    return assemble(random_weights(config, seed), config, weight_format=weight_format)
