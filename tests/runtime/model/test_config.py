from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.config import ModelConfig, RopeScaling
from runtime.model.hub import ModelFiles

BASE: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
GGUF: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.vocab_size": 100,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 128,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.context_length": 512,
    "llama.attention.layer_norm_rms_epsilon": 1e-6,
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 7,
    "tokenizer.ggml.eot_token_id": 9,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


def test_defaults_are_those_of_transformers() -> None:
    from transformers import LlamaConfig

    config, theirs = ModelConfig.from_hf(BASE), LlamaConfig(**{k: v for k, v in BASE.items() if k != "model_type"})
    assert config.num_kv_heads == theirs.num_key_value_heads
    assert config.head_dim == theirs.head_dim
    assert config.rms_norm_eps == theirs.rms_norm_eps
    assert config.rope_theta == theirs.rope_parameters["rope_theta"]
    assert (config.tie_word_embeddings, config.attention_bias, config.mlp_bias) == (
        theirs.tie_word_embeddings,
        theirs.attention_bias,
        theirs.mlp_bias,
    )


def test_theta_is_read_from_either_place() -> None:
    assert ModelConfig.from_hf(BASE | {"rope_theta": 5e5}).rope_theta == 5e5
    assert ModelConfig.from_hf(BASE | {"rope_parameters": {"rope_theta": 5e5}}).rope_theta == 5e5


@pytest.mark.parametrize("scaling", [{"rope_type": "linear", "factor": 4.0}, LLAMA3])
@pytest.mark.parametrize("version", [4, 5])
def test_rope_frequencies_equal_transformers(scaling: dict[str, Any], version: int) -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    parameters = {"rope_theta": 10000.0, **scaling}
    place = {"rope_scaling": scaling, "rope_theta": 10000.0} if version == 4 else {"rope_parameters": parameters}
    ours = ModelConfig.from_hf(BASE | place)
    theirs = LlamaConfig(**{k: v for k, v in BASE.items() if k != "model_type"}, rope_parameters=parameters)
    torch.testing.assert_close(
        torch.tensor(ours.rope_frequencies()), LlamaRotaryEmbedding(theirs).inv_freq, rtol=1e-6, atol=0
    )


def test_a_config_saved_by_transformers_is_read(tmp_path: Path) -> None:
    from transformers import MistralConfig

    saved = MistralConfig(
        vocab_size=99,
        hidden_size=64,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=24,
        sliding_window=None,
        eos_token_id=[2, 5],
        tie_word_embeddings=True,
    )
    saved.save_pretrained(tmp_path)
    config = ModelConfig.load(ModelFiles("m", "safetensors", tmp_path))
    assert (config.architecture, config.head_dim, config.num_kv_heads) == ("llama", 24, 2)
    assert config.eos_token_ids == (2, 5)
    assert config.tie_word_embeddings


def test_gguf_and_folder_give_the_same_config(tiny: Any) -> None:
    ours, theirs = ModelConfig.load(tiny.gguf), ModelConfig.load(tiny.safetensors)
    assert math.isclose(ours.rms_norm_eps, theirs.rms_norm_eps, rel_tol=1e-6)  # GGUF keeps it in 32 bits
    assert dataclasses.replace(ours, rms_norm_eps=theirs.rms_norm_eps) == theirs


def test_gguf_tensors_tell_what_metadata_does_not() -> None:
    assert ModelConfig.from_gguf(GGUF, []).tie_word_embeddings
    config = ModelConfig.from_gguf(GGUF, ["output.weight", "blk.0.attn_q.bias"])
    assert (config.tie_word_embeddings, config.attention_bias, config.mlp_bias) == (False, True, False)
    assert (config.bos_token_id, config.eos_token_ids) == (0, (7, 9))


def test_gguf_rope_scaling() -> None:
    linear = GGUF | {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}
    assert ModelConfig.from_gguf(linear).rope_scaling == RopeScaling(kind="linear", factor=2.0)
    factors = [1.0] * 4 + [8.0] * 4
    plain, scaled = ModelConfig.from_gguf(GGUF), ModelConfig.from_gguf(GGUF, rope_factors=factors)
    pairs = zip(plain.rope_frequencies(), scaled.rope_frequencies(), strict=True)
    assert [round(one / other, 6) for one, other in pairs] == factors


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_type": "bert"}, "architecture 'bert' is not supported; supported are llama, mistral"),
        ({"model_type": None}, "architecture '' is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu' is not supported"),
        ({"sliding_window": 128}, "sliding_window"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope scaling 'yarn' is not supported"),
        ({"partial_rotary_factor": 0.5, "rope_parameters": {"partial_rotary_factor": 0.5}}, "part of the head"),
    ],
)
def test_what_is_not_computed_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UnsupportedModel, match=complaint):
        ModelConfig.from_hf(BASE | change)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"num_hidden_layers": -1}, "num_hidden_layers=-1 is not a positive whole number"),
        ({"vocab_size": "many"}, "vocab_size='many' is not"),
        ({"vocab_size": 1 << 40}, "vocab_size=1099511627776 is not believable"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps=nan is not a positive number"),
        ({"num_key_value_heads": 3}, "4 heads cannot share 3"),
        ({"head_dim": 7}, "head_dim=7 is odd"),
        ({"eos_token_id": [2, "x"]}, "eos_token_id='x' is not a token id"),
        ({"model_type": 3}, "model_type=3 is not a string"),
    ],
)
def test_impossible_values_are_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DamagedModel, match=complaint):
        ModelConfig.from_hf(BASE | change)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"general.architecture": "mamba"}, "architecture 'mamba'"),
        ({"llama.expert_count": 8}, "experts"),
        ({"llama.rope.dimension_count": 8}, "part of the head"),
        ({"llama.rope.scaling.type": "yarn"}, "rope scaling 'yarn'"),
    ],
)
def test_gguf_variants_are_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UnsupportedModel, match=complaint):
        ModelConfig.from_gguf(GGUF | change)


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_an_unreadable_config_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(DamagedModel, match=r"config\.json: not"):
        ModelConfig.load(ModelFiles("m", "safetensors", tmp_path))


def test_every_field_survives_json() -> None:
    config = ModelConfig.from_hf(json.loads(json.dumps(BASE | {"rope_scaling": LLAMA3})))
    assert config.rope_scaling is not None
    assert config.rope_scaling.original_max_position_embeddings == 128
