"""A tiny llama with random weights, written as GGUF (as llama.cpp's converter does) and as safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from runtime.model.hub import ModelFiles
from runtime.model.weights import GGUF_ENDS, GGUF_MODULES

HF_CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 288,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SPECIAL = ["<unk>", "<s>", "</s>"]


@dataclass(frozen=True)
class TinyModel:
    """Both forms of one model, and the weights they hold under their Hugging Face names."""

    gguf: ModelFiles
    safetensors: ModelFiles
    config: dict[str, Any]
    weights: dict[str, torch.Tensor]


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=288, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(["the theatre there, then the thin thing thinks"] * 20, trainer)
    return tokenizer


def _random_weights(tied: bool, biased: bool) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    rows = {"q_proj": 64, "k_proj": 32, "v_proj": 32, "o_proj": 64, "gate_proj": 96, "up_proj": 96, "down_proj": 64}
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (288, 64), "model.norm.weight": (64,)}
    for layer in range(2):
        for module in GGUF_MODULES:
            name, kind = f"model.layers.{layer}.{module}", module.rpartition(".")[2]
            shapes[f"{name}.weight"] = (rows[kind], 96 if kind == "down_proj" else 64) if kind in rows else (64,)
            if biased and module.startswith("self_attn"):
                shapes[f"{name}.bias"] = (rows[kind],)
    if not tied:
        shapes["lm_head.weight"] = (288, 64)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _permuted(array: np.ndarray, num_heads: int) -> np.ndarray:
    """The order of rows llama.cpp's converter gives query and key projections."""
    halves = array.reshape(num_heads, 2, array.shape[0] // num_heads // 2, *array.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))


def write_gguf(
    path: Path,
    config: dict[str, Any],
    weights: dict[str, torch.Tensor],
    tokenizer: Tokenizer,
    type_of: Callable[[str], str] = lambda name: "F32",
) -> None:
    """Writes a llama as GGUF, every tensor in the type `type_of` its Hugging Face name."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    model = json.loads(tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(model["vocab"], key=model["vocab"].__getitem__))
    writer.add_token_types([3 if index < len(SPECIAL) else 1 for index in range(len(model["vocab"]))])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}")
    for name, tensor in weights.items():
        array = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:
            array = _permuted(array, config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"])
        kind = gguf.GGMLQuantizationType[type_of(name)]
        writer.add_tensor(_gguf_name(name), gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str:
    if name in GGUF_ENDS:
        return GGUF_ENDS[name]
    _, _, layer, module, *rest = name.split(".")
    parts = [module, *rest]
    return f"blk.{layer}.{GGUF_MODULES['.'.join(parts[:-1])]}.{parts[-1]}"


def _write_folder(folder: Path, config: dict[str, Any], weights: dict[str, torch.Tensor], tokenizer: Tokenizer) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(roles))
    (folder / "chat_template.jinja").write_text("{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}")


@pytest.fixture(scope="session")
def make_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TinyModel]:
    def make(*, tied: bool = True, biased: bool = False) -> TinyModel:
        root = tmp_path_factory.mktemp("tiny")
        config = HF_CONFIG | {"tie_word_embeddings": tied, "attention_bias": biased}
        weights, tokenizer = _random_weights(tied, biased), _tokenizer()
        write_gguf(root / "tiny.gguf", config, weights, tokenizer)
        _write_folder(root / "tiny", config, weights, tokenizer)
        return TinyModel(
            gguf=ModelFiles("tiny", "gguf", root / "tiny.gguf"),
            safetensors=ModelFiles("tiny", "safetensors", root / "tiny"),
            config=config,
            weights=weights,
        )

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny: Callable[..., TinyModel]) -> TinyModel:
    return make_tiny()


@pytest.fixture(scope="session")
def make_quantized(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelFiles]:
    """A GGUF whose matrices are in the types `type_of` says by name; norms and biases are in float32."""

    def make(type_of: Callable[[str], str], *, tied: bool = True, biased: bool = False) -> ModelFiles:
        path = tmp_path_factory.mktemp("quantized") / "tiny.gguf"
        weights = _random_weights(tied, biased)
        config = HF_CONFIG | {"tie_word_embeddings": tied, "attention_bias": biased}
        flat = {name for name, tensor in weights.items() if tensor.dim() == 1}
        write_gguf(path, config, weights, _tokenizer(), lambda name: "F32" if name in flat else type_of(name))
        return ModelFiles("quantized", "gguf", path)

    return make
