"""ModelConfig: the numbers that define a decoder-only transformer, whatever file they were read from."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.metadata import Metadata

if TYPE_CHECKING:
    from runtime.model.hub import ModelFiles

__all__ = ["ModelConfig", "RopeScaling"]

ARCHITECTURES = {"llama": "llama", "mistral": "llama"}
"""Name in the file → the architecture of ours that computes it."""


LARGEST = MappingProxyType(
    {"vocab_size": 1 << 22, "num_layers": 1 << 10, "hidden_size": 1 << 20, "num_heads": 1 << 12, "head_dim": 1 << 12}
)
"""Beyond these, a damaged file speaks; believing it would take all memory before a tensor is missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """How rotary frequencies are stretched for long contexts.

    Attributes:
        kind: "linear" divides every frequency by `factor`; "llama3" divides the low ones by it, leaves the high
            ones and blends between (Llama 3.1); "factors" divides frequency i by `factors[i]` (as GGUF files
            store the result of the latter).
    """

    kind: str
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192
    factors: tuple[float, ...] = ()

    def scale(self, frequencies: Sequence[float]) -> tuple[float, ...]:
        """The stretched frequencies, radians per position; source of "llama3": Llama 3.1's reference code."""
        if self.kind == "linear":
            return tuple(frequency / self.factor for frequency in frequencies)
        if self.kind == "factors":
            return tuple(frequency / by for frequency, by in zip(frequencies, self.factors, strict=True))
        return tuple(self._scale_llama3(frequency) for frequency in frequencies)

    def _scale_llama3(self, frequency: float) -> float:
        turns = self.original_max_position_embeddings * frequency / (2 * math.pi)
        if turns < self.low_freq_factor:
            return frequency / self.factor
        if turns > self.high_freq_factor:
            return frequency
        blend = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        return (1 - blend) * frequency / self.factor + blend * frequency


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Sizes and constants of a model, checked for agreement with each other.

    Raises:
        DamagedModel: the sizes contradict each other, or are beyond any model's.
    """

    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None = None
    max_position_embeddings: int
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, most in LARGEST.items():
            if getattr(self, name) > most:
                raise DamagedModel(f"config: {name}={getattr(self, name)} is not believable: more than {most}")
        if self.num_heads % self.num_kv_heads:
            raise DamagedModel(
                f"config: {self.num_heads} heads cannot share {self.num_kv_heads} key-value heads evenly"
            )
        if self.head_dim % 2:
            raise DamagedModel(f"config: head_dim={self.head_dim} is odd; rotary embeddings need pairs")

    def rope_frequencies(self) -> tuple[float, ...]:
        """Angle per position of each of the head_dim / 2 rotary pairs, in radians, scaling applied."""
        plain = [self.rope_theta ** (-2 * pair / self.head_dim) for pair in range(self.head_dim // 2)]
        return tuple(plain) if self.rope_scaling is None else self.rope_scaling.scale(plain)

    @classmethod
    def load(cls, files: ModelFiles) -> ModelConfig:
        """Reads the config out of a model's files.

        Raises:
            DamagedModel: a field is missing or has an impossible value.
            UnsupportedModel: the architecture, or a variant of it, is not one this runtime computes.
        """
        if files.kind == "gguf":
            file = files.gguf
            factors = file.tensor("rope_freqs.weight").tolist() if "rope_freqs.weight" in file.tensors else ()
            return cls.from_gguf(file.metadata, file.tensors, rope_factors=factors)
        path = files.path / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DamagedModel(f"{path}: not readable as JSON: {error}") from error
        if not isinstance(config, dict):
            raise DamagedModel(f"{path}: not a JSON object")
        return cls.from_hf(config)

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> ModelConfig:
        """From a `config.json` as transformers 4 or 5 writes it; raises as `load` does."""
        fields = Metadata("config.json", config)
        architecture = _architecture(fields.text("model_type", ""))
        _refuse_variants(fields)
        hidden_size, num_heads = fields.count("hidden_size"), fields.count("num_attention_heads")
        rope = Metadata("config.json", config.get("rope_parameters") or config.get("rope_scaling") or {})
        theta = rope.number("rope_theta", fields.number("rope_theta", 10000.0))
        return cls(
            architecture=architecture,
            vocab_size=fields.count("vocab_size"),
            hidden_size=hidden_size,
            intermediate_size=fields.count("intermediate_size"),
            num_layers=fields.count("num_hidden_layers"),
            num_heads=num_heads,
            num_kv_heads=fields.count("num_key_value_heads", num_heads),
            head_dim=fields.count("head_dim", hidden_size // num_heads),
            rms_norm_eps=fields.number("rms_norm_eps", 1e-6),
            rope_theta=theta,
            rope_scaling=_hf_rope_scaling(rope),
            max_position_embeddings=fields.count("max_position_embeddings", 2048),
            tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
            attention_bias=bool(config.get("attention_bias", False)),
            mlp_bias=bool(config.get("mlp_bias", False)),
            bos_token_id=fields.token_id("bos_token_id"),
            eos_token_ids=fields.token_ids("eos_token_id"),
        )

    @classmethod
    def from_gguf(
        cls, metadata: Mapping[str, Any], tensors: Collection[str] = (), *, rope_factors: Sequence[float] = ()
    ) -> ModelConfig:
        """From a GGUF file's metadata; raises as `load` does.

        Args:
            metadata: the file's key-value pairs.
            tensors: names of its tensors; they alone tell whether the output head is tied and biases exist.
            rope_factors: the tensor `rope_freqs.weight`, when there is one.
        """
        name = str(metadata.get("general.architecture", ""))
        architecture = _architecture(name)
        fields = Metadata("gguf metadata", metadata, prefix=f"{name}.")
        tokens = Metadata("gguf metadata", metadata, prefix="tokenizer.ggml.")
        if fields.count("expert_count", 0):
            raise UnsupportedModel(f"architecture {name!r} with experts is not supported")
        hidden_size, num_heads = fields.count("embedding_length"), fields.count("attention.head_count")
        head_dim = fields.count("attention.key_length", hidden_size // num_heads)
        if fields.count("rope.dimension_count", head_dim) != head_dim:
            raise UnsupportedModel("rotary embeddings over a part of the head are not supported")
        return cls(
            architecture=architecture,
            vocab_size=fields.count("vocab_size", len(metadata.get("tokenizer.ggml.tokens", ())) or None),
            hidden_size=hidden_size,
            intermediate_size=fields.count("feed_forward_length"),
            num_layers=fields.count("block_count"),
            num_heads=num_heads,
            num_kv_heads=fields.count("attention.head_count_kv", num_heads),
            head_dim=head_dim,
            rms_norm_eps=fields.number("attention.layer_norm_rms_epsilon", 1e-6),
            rope_theta=fields.number("rope.freq_base", 10000.0),
            rope_scaling=_gguf_rope_scaling(fields, rope_factors),
            max_position_embeddings=fields.count("context_length"),
            tie_word_embeddings="output.weight" not in tensors,
            attention_bias="blk.0.attn_q.bias" in tensors,
            mlp_bias="blk.0.ffn_gate.bias" in tensors,
            bos_token_id=tokens.token_id("bos_token_id"),
            eos_token_ids=tokens.token_ids("eos_token_id", "eot_token_id"),
        )


def _architecture(name: str) -> str:
    if name not in ARCHITECTURES:
        raise UnsupportedModel(f"architecture {name!r} is not supported; supported are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _refuse_variants(fields: Metadata) -> None:
    activation = fields.text("hidden_act", "silu")
    if activation not in ("silu", "swish"):
        raise UnsupportedModel(f"config.json: hidden_act={activation!r} is not supported; supported is silu")
    context = fields.count("max_position_embeddings", 2048)
    if 0 < fields.count("sliding_window", 0) < context:
        raise UnsupportedModel("config.json: sliding_window attention is not supported")
    if "quantization_config" in fields:
        raise UnsupportedModel("config.json: quantized safetensors (quantization_config) are not supported")


def _hf_rope_scaling(rope: Metadata) -> RopeScaling | None:
    kind = rope.text("rope_type", rope.text("type", "default"))
    if rope.number("partial_rotary_factor", 1.0) != 1.0:
        raise UnsupportedModel("rotary embeddings over a part of the head are not supported")
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling(kind="linear", factor=rope.number("factor"))
    if kind == "llama3":
        return RopeScaling(
            kind="llama3",
            factor=rope.number("factor"),
            low_freq_factor=rope.number("low_freq_factor"),
            high_freq_factor=rope.number("high_freq_factor"),
            original_max_position_embeddings=rope.count("original_max_position_embeddings"),
        )
    raise UnsupportedModel(f"rope scaling {kind!r} is not supported; supported are default, linear, llama3")


def _gguf_rope_scaling(fields: Metadata, factors: Sequence[float]) -> RopeScaling | None:
    if factors:
        return RopeScaling(kind="factors", factors=tuple(factors))
    kind = fields.text("rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind == "linear":
        return RopeScaling(kind="linear", factor=fields.number("rope.scaling.factor"))
    raise UnsupportedModel(f"rope scaling {kind!r} is not supported; supported are none, linear")
