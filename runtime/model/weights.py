"""Weights: a model's tensors under their Hugging Face names, one at a time, in float32, every shape checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias, overload

import torch

from runtime.errors import DamagedModel
from runtime.model.blocks import BLOCK_KINDS, BlockMatrix
from runtime.model.config import ModelConfig
from runtime.model.gguf import GgufFile
from runtime.model.hub import ModelFiles
from runtime.model.safetensors import SafetensorsFolder

__all__ = ["Weight", "block_kinds", "expected_shapes", "iter_weights", "load_weights"]

Weight: TypeAlias = torch.Tensor | BlockMatrix

GGUF_ENDS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
GGUF_MODULES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Hugging Face's name of a layer's module → GGUF's."""

TABLES = ("rope_freqs.weight", "rotary_emb.inv_freq")
"""Ends of names of tensors that only repeat what the config says."""


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor of the model, in the order `iter_weights` yields them."""
    hidden, inner = config.hidden_size, config.intermediate_size
    query, key_value = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, hidden)}
    linears = {
        "self_attn.q_proj": (query, hidden, config.attention_bias),
        "self_attn.k_proj": (key_value, hidden, config.attention_bias),
        "self_attn.v_proj": (key_value, hidden, config.attention_bias),
        "self_attn.o_proj": (hidden, query, config.attention_bias),
        "mlp.gate_proj": (inner, hidden, config.mlp_bias),
        "mlp.up_proj": (inner, hidden, config.mlp_bias),
        "mlp.down_proj": (hidden, inner, config.mlp_bias),
    }
    for layer in range(config.num_layers):
        prefix = f"model.layers.{layer}."
        shapes[prefix + "input_layernorm.weight"] = (hidden,)
        shapes[prefix + "post_attention_layernorm.weight"] = (hidden,)
        for module, (rows, columns, biased) in linears.items():
            shapes[f"{prefix}{module}.weight"] = (rows, columns)
            if biased:
                shapes[f"{prefix}{module}.bias"] = (rows,)
    shapes["model.norm.weight"] = (hidden,)
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (config.vocab_size, hidden)
    return shapes


@overload
def iter_weights(
    files: ModelFiles, config: ModelConfig, *, keep_blocks: Literal[False] = False
) -> Iterator[tuple[str, torch.Tensor]]: ...


@overload
def iter_weights(files: ModelFiles, config: ModelConfig, *, keep_blocks: bool) -> Iterator[tuple[str, Weight]]: ...


def iter_weights(files: ModelFiles, config: ModelConfig, *, keep_blocks: bool = False) -> Iterator[tuple[str, Weight]]:
    """Yields (Hugging Face name, float32 tensor) layer by layer; nothing is kept, so memory peaks at one tensor.

    `lm_head.weight` is left out where the head is tied to the embeddings.

    Args:
        files: where the weights are.
        config: the model's shape.
        keep_blocks: whether matrices stored in blocks of `runtime.model.blocks.BLOCK_KINDS` come as they are.

    Raises:
        DamagedModel: a tensor is missing, has another shape than the config says, or is none of the model's.
        UnsupportedModel: a tensor is stored in a format that cannot be read.
    """
    shapes = expected_shapes(config)
    if files.kind == "gguf":
        file = files.gguf
        names = {name: _gguf_name(name) for name in shapes}
        _check_names(files, names.values(), file.tensors, config)
        yield from _checked(files, shapes, lambda name: _read_gguf(file, name, names[name], config, keep_blocks))
    else:
        with SafetensorsFolder(files.path) as folder:
            _check_names(files, shapes, folder.names, config)
            yield from _checked(files, shapes, folder.tensor)


def load_weights(files: ModelFiles, config: ModelConfig) -> dict[str, torch.Tensor]:
    """All of `iter_weights` at once."""
    return dict(iter_weights(files, config))


def block_kinds(files: ModelFiles) -> frozenset[int]:
    """Which kinds of `runtime.model.blocks.BLOCK_KINDS` the stored matrices are in."""
    if files.kind != "gguf":
        return frozenset()
    return frozenset(int(tensor.type) for tensor in files.gguf.tensors.values()) & BLOCK_KINDS.keys()


def _checked(
    files: ModelFiles, shapes: dict[str, tuple[int, ...]], read: Callable[[str], Weight]
) -> Iterator[tuple[str, Weight]]:
    for name, expected in shapes.items():
        # No local name holds the tensor, or it would still be there while the next one is read.
        yield name, _of_shape(files, name, read(name), expected)


def _of_shape(files: ModelFiles, name: str, tensor: Weight, expected: tuple[int, ...]) -> Weight:
    if tuple(tensor.shape) != expected:
        raise DamagedModel(f"{files.path}: tensor {name} has shape {tuple(tensor.shape)}, expected {expected}")
    return tensor


def _check_names(files: ModelFiles, wanted: Iterable[str], found: Iterable[str], config: ModelConfig) -> None:
    wanted, found = set(wanted), set(found)
    if missing := sorted(wanted - found):
        raise DamagedModel(f"{files.path}: {len(missing)} tensors are missing, the first is {missing[0]}")
    tied = {"lm_head.weight", "output.weight"} if config.tie_word_embeddings else set()
    if strange := sorted(name for name in found - wanted - tied if not name.endswith(TABLES)):
        raise DamagedModel(f"{files.path}: tensor {strange[0]} has no place in a {config.architecture} model")


def _gguf_name(name: str) -> str:
    if name in GGUF_ENDS:
        return GGUF_ENDS[name]
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    module, _, kind = rest.rpartition(".")
    return f"blk.{layer}.{GGUF_MODULES[module]}.{kind}"


def _read_gguf(file: GgufFile, name: str, gguf_name: str, config: ModelConfig, keep_blocks: bool) -> Weight:
    heads = {"q_proj": config.num_heads, "k_proj": config.num_kv_heads}.get(name.split(".")[-2])
    matrix = file.block_matrix(gguf_name) if keep_blocks else None
    if matrix is not None:
        if heads is None:
            return matrix
        return matrix.select(_rotate_half_layout(torch.arange(matrix.shape[0]), heads).numpy())
    tensor = torch.from_numpy(file.tensor(gguf_name))
    return tensor if heads is None else _rotate_half_layout(tensor, heads)


def _rotate_half_layout(tensor: torch.Tensor, num_heads: int) -> torch.Tensor:
    """Rows of each head from GGUF's order (both of a rotary pair adjacent) to Hugging Face's (in two halves)."""
    if tensor.shape[0] % (2 * num_heads):
        return tensor  # not whole pairs: the shape check will say so
    pairs = tensor.reshape(num_heads, -1, 2, *tensor.shape[1:])
    return pairs.transpose(1, 2).reshape(tensor.shape)
