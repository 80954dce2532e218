from __future__ import annotations

import dataclasses
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.blocks import BlockMatrix
from runtime.model.config import ModelConfig
from runtime.model.gguf import GgufFile
from runtime.model.hub import ModelFiles
from runtime.model.weights import block_kinds, expected_shapes, iter_weights, load_weights


def _copy(files: ModelFiles, to: Path) -> ModelFiles:
    shutil.copytree(files.path, to / "copy")
    return dataclasses.replace(files, path=to / "copy")


@pytest.mark.parametrize(("tied", "biased"), [(True, False), (False, True)])
def test_gguf_and_safetensors_hold_the_same_weights(make_tiny: Callable[..., Any], tied: bool, biased: bool) -> None:
    tiny = make_tiny(tied=tied, biased=biased)
    for files in (tiny.gguf, tiny.safetensors):
        config = ModelConfig.load(files)
        loaded = load_weights(files, config)
        assert loaded.keys() == tiny.weights.keys() == expected_shapes(config).keys()
        for name, tensor in loaded.items():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, tiny.weights[name], rtol=0, atol=0, msg=name)


def test_a_tensor_is_let_go_before_the_next_is_read(tiny: Any) -> None:
    config = ModelConfig.load(tiny.gguf)
    weights = iter_weights(tiny.gguf, config)
    _, tensor = next(weights)
    seen = weakref.ref(tensor)
    del tensor
    assert seen() is None


def test_kept_blocks_hold_what_is_dequantized_otherwise(make_quantized: Callable[..., ModelFiles]) -> None:
    files = make_quantized(lambda name: "Q8_0" if "embed" in name else "F16" if "v_proj" in name else "Q4_1")
    config = ModelConfig.load(files)
    assert block_kinds(files) == {gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0}
    plain = load_weights(files, config)
    for name, weight in iter_weights(files, config, keep_blocks=True):
        in_blocks = plain[name].dim() == 2 and "v_proj" not in name
        assert isinstance(weight, BlockMatrix) == in_blocks
        assert torch.equal(torch.as_tensor(weight.dequantize() if in_blocks else weight), plain[name])
    wrong = dataclasses.replace(config, intermediate_size=128)
    with pytest.raises(DamagedModel, match=r"mlp\.gate_proj\.weight has shape \(96, 64\), expected \(128, 64\)"):
        list(iter_weights(files, wrong, keep_blocks=True))


def test_only_a_gguf_has_blocks(tiny: Any) -> None:
    assert block_kinds(tiny.gguf) == block_kinds(tiny.safetensors) == frozenset()


def test_shards_are_read_through_the_index(tiny: Any, tmp_path: Path) -> None:
    files = _copy(tiny.safetensors, tmp_path)
    weights = load_file(files.path / "model.safetensors")
    (files.path / "model.safetensors").unlink()
    half = list(weights)[::2]
    shards = {"a.safetensors": half, "b.safetensors": [name for name in weights if name not in half]}
    for file_name, names in shards.items():
        save_file({name: weights[name].to(torch.float16) for name in names}, files.path / file_name)
    index = {name: file_name for file_name, names in shards.items() for name in names}
    (files.path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    config = ModelConfig.load(files)
    loaded = load_weights(files, config)
    for name, tensor in loaded.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, tiny.weights[name].half().float())
    (files.path / "b.safetensors").unlink()
    with pytest.raises(DamagedModel, match=r"b\.safetensors: shard is missing"):
        load_weights(files, config)


def test_a_damaged_index_is_named(tiny: Any, tmp_path: Path) -> None:
    files = _copy(tiny.safetensors, tmp_path)
    (files.path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(DamagedModel, match=r"index\.json: not an index"):
        load_weights(files, ModelConfig.load(files))


def test_a_truncated_shard_is_named(tiny: Any, tmp_path: Path) -> None:
    files = _copy(tiny.safetensors, tmp_path)
    shard = files.path / "model.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DamagedModel, match=r"model\.safetensors: damaged"):
        load_weights(files, ModelConfig.load(files))


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_a_wrong_shape_names_tensor_shape_and_expectation(tiny: Any, kind: str) -> None:
    files = getattr(tiny, kind)
    config = dataclasses.replace(ModelConfig.load(files), intermediate_size=128)
    with pytest.raises(DamagedModel, match=r"mlp\.gate_proj\.weight has shape \(96, 64\), expected \(128, 64\)"):
        load_weights(files, config)


@pytest.mark.parametrize(
    ("kind", "first"),
    [("gguf", r"blk\.2\.attn_k\.weight"), ("safetensors", r"model\.layers\.2\.input_layernorm\.weight")],
)
def test_missing_tensors_are_named(tiny: Any, kind: str, first: str) -> None:
    files = getattr(tiny, kind)
    config = dataclasses.replace(ModelConfig.load(files), num_layers=3)
    with pytest.raises(DamagedModel, match=f"9 tensors are missing, the first is {first}"):
        load_weights(files, config)


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_tensors_without_a_place_are_named(make_tiny: Callable[..., Any], kind: str) -> None:
    files = getattr(make_tiny(biased=True), kind)
    config = dataclasses.replace(ModelConfig.load(files), attention_bias=False)
    with pytest.raises(DamagedModel, match="bias has no place in a llama model"):
        load_weights(files, config)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0", "F16", "BF16"])
def test_quantized_tensors_come_back_as_the_package_dequantizes_them(tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(0).standard_normal((1500, 64)).astype(np.float32)
    quantization = gguf.GGMLQuantizationType[kind]
    packed = gguf.quants.quantize(values, quantization)
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "llama")
    writer.add_tensor("matrix", packed, raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = GgufFile(tmp_path / "one.gguf").tensor("matrix")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, gguf.quants.dequantize(packed, quantization))
    assert np.abs(read - values).max() < 0.5


def test_an_unreadable_quantization_is_named(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "llama")
    writer.add_tensor("matrix", np.zeros((2, 32), dtype=np.int8))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedModel, match="tensor matrix has type I8"):
        GgufFile(tmp_path / "one.gguf").tensor("matrix")
