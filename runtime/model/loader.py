"""Checkpoint tensors to a Llama, one at a time, so that a matrix and its copy exist together only briefly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.config import ModelConfig
from runtime.model.linear import Linear, PackedLinear, TorchLinear, make_linear, resolve_weight_format
from runtime.model.llama import Llama, LlamaLayer
from runtime.model.weights import iter_weights

__all__ = ["assemble", "load_model", "random_model", "random_weights", "tiny_config"]

_EMBEDDING, _NORM, _HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
_FUSED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
_NORMS = {"attention_norm": "input_layernorm.weight", "mlp_norm": "post_attention_layernorm.weight"}


def load_model(files: Sequence[Path], config: ModelConfig, *, weight_format: str = "auto") -> Llama:
    """Reads a checkpoint's files into a model.

    Args:
        files: safetensors or GGUF files of one checkpoint.
        config: its shape.
        weight_format: how matrices are kept (see `runtime.model.linear`).

    Raises:
        DamagedModel: a tensor is missing or has the wrong shape.
        ConfigError: no weight format of that name.
    """
    return assemble(iter_weights(files, config), config, weight_format=weight_format)


def assemble(tensors: Iterable[tuple[str, torch.Tensor]], config: ModelConfig, *, weight_format: str) -> Llama:
    """Builds a model from named float32 tensors, in whatever order they come.

    Raises:
        DamagedModel: a tensor is missing or has the wrong shape.
        UnsupportedModel: a tensor this architecture has no place for.
    """
    weight_format = resolve_weight_format(weight_format)
    shapes = _shapes(config)
    matrices = [_Matrix(index, field, config) for index in range(config.num_layers) for field in _FUSED]
    wanted = {name: matrix for matrix in matrices for name in matrix.names}
    plain: dict[str, torch.Tensor] = {}
    for name, tensor in tensors:
        if name.endswith("rotary_emb.inv_freq") or (name == _HEAD and config.tie_word_embeddings):
            continue
        if name not in shapes:
            raise UnsupportedModel(f"tensor {name!r} has no place in {config.architecture}")
        if tuple(tensor.shape) != shapes[name]:
            raise DamagedModel(f"tensor {name!r} has shape {tuple(tensor.shape)}, expected {shapes[name]}")
        if name in wanted:
            wanted[name].take(name, tensor, weight_format)
        else:
            plain[name] = tensor
        del tensor
    missing = [name for name in shapes if name not in plain and (name not in wanted or not wanted[name].has(name))]
    if missing:
        raise DamagedModel(f"{len(missing)} tensors are missing, the first is {missing[0]!r}")
    fields = iter(matrices)
    layers = []
    for index in range(config.num_layers):
        norms = {field: plain[f"model.layers.{index}.{name}"] for field, name in _NORMS.items()}
        layers.append(LlamaLayer(**norms, **{field: next(fields).linear for field in _FUSED}))
    return Llama(
        config=config,
        weight_format=weight_format,
        layers=tuple(layers),
        norm=plain[_NORM],
        **_ends(plain.pop(_EMBEDDING), plain.pop(_HEAD, None), weight_format),
    )


def _ends(embedding: torch.Tensor, head: torch.Tensor | None, weight_format: str) -> dict[str, Any]:
    """The model's first and last matrix; one storage for both where they are tied and the format gives rows back."""
    linear = make_linear(weight_format, embedding if head is None else head)
    shared = head is None and isinstance(linear, TorchLinear | PackedLinear)
    return {"embedding": linear.rows if shared else TorchLinear(embedding).rows, "head": linear}


class _Matrix:
    """One matrix of a layer while its parts come in; the parts are let go once they stand together."""

    linear: Linear

    def __init__(self, layer: int, field: str, config: ModelConfig) -> None:
        parts = [f"model.layers.{layer}.{part}" for part in _FUSED[field]]
        has_bias = config.attention_bias if field in ("qkv", "output") else config.mlp_bias
        self._weights = [f"{part}.weight" for part in parts]
        self._biases = [f"{part}.bias" for part in parts] if has_bias else []
        self.names = self._weights + self._biases
        self._parts: dict[str, torch.Tensor] = {}
        self._done = False

    def has(self, name: str) -> bool:
        return self._done or name in self._parts

    def take(self, name: str, tensor: torch.Tensor, weight_format: str) -> None:
        self._parts[name] = tensor
        if len(self._parts) == len(self.names):
            bias = self._side_by_side(self._biases) if self._biases else None
            self.linear = make_linear(weight_format, self._side_by_side(self._weights), bias)
            self._done = True

    def _side_by_side(self, names: list[str]) -> torch.Tensor:
        parts = [self._parts.pop(name) for name in names]
        return torch.cat(parts) if len(parts) > 1 else parts[0]


def _shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of the checkpoint and its shape."""
    hidden, inner = config.hidden_size, config.intermediate_size
    query, cached = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {_EMBEDDING: (config.vocab_size, hidden), _NORM: (hidden,)}
    if not config.tie_word_embeddings:
        shapes[_HEAD] = (config.vocab_size, hidden)
    matrices = {
        "self_attn.q_proj": (query, hidden, config.attention_bias),
        "self_attn.k_proj": (cached, hidden, config.attention_bias),
        "self_attn.v_proj": (cached, hidden, config.attention_bias),
        "self_attn.o_proj": (hidden, query, config.attention_bias),
        "mlp.gate_proj": (inner, hidden, config.mlp_bias),
        "mlp.up_proj": (inner, hidden, config.mlp_bias),
        "mlp.down_proj": (hidden, inner, config.mlp_bias),
    }
    for index in range(config.num_layers):
        prefix = f"model.layers.{index}."
        shapes |= {prefix + name: (hidden,) for name in _NORMS.values()}
        for name, (rows, columns, has_bias) in matrices.items():
            shapes[f"{prefix}{name}.weight"] = (rows, columns)
            if has_bias:
                shapes[f"{prefix}{name}.bias"] = (rows,)
    return shapes


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
        rope_scaling=None,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        attention_bias=False,
        mlp_bias=False,
        bos_token_id=1,
        eos_token_ids=(2,),
    )
    return replace(base, **overrides)


def random_weights(config: ModelConfig, seed: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a checkpoint of that shape, seeded: the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in _shapes(config).items():
        if name.endswith("norm.weight"):
            yield name, 1.0 + 0.1 * torch.randn(shape, generator=generator)
        else:
            yield name, torch.randn(shape, generator=generator) * shape[-1] ** -0.5


def random_model(config: ModelConfig, seed: int = 0, *, weight_format: str = "auto") -> Llama:
    """A model of that shape with `random_weights`."""
    return assemble(random_weights(config, seed), config, weight_format=weight_format)
