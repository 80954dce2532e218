from __future__ import annotations

import contextlib
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.errors import DamagedModel, ModelLoadError, UnsupportedModel
from runtime.model.config import ModelConfig
from runtime.model.gguf import GgufFile
from runtime.model.hub import ModelFiles
from runtime.model.weights import load_weights
from runtime.tokenizer import Tokenizer


def test_header_equals_what_the_package_reads(tiny: Any) -> None:
    file, reader = GgufFile(tiny.gguf.path), gguf.GGUFReader(tiny.gguf.path)
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert file.metadata == fields
    assert list(file.tensors) == [tensor.name for tensor in reader.tensors]
    for tensor in reader.tensors:
        found = file.tensors[tensor.name]
        assert found.shape == tuple(int(length) for length in reversed(tensor.shape))
        assert (found.offset, found.num_bytes) == (tensor.data_offset, tensor.n_bytes)
        np.testing.assert_array_equal(file.tensor(tensor.name), tensor.data)


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "kinds.gguf", "llama")
    values = {"u8": 200, "i8": -5, "u16": 60000, "i16": -300, "u32": 1 << 31, "i32": -70000, "u64": 1 << 60, "i64": -9}
    for kind, value in values.items():
        add = getattr(writer, "add_" + kind.replace("u", "uint", 1).replace("i", "int", 1).replace("uintnt", "uint"))
        add("k." + kind, value)
    writer.add_float32("k.f32", 0.5)
    writer.add_float64("k.f64", 1e-300)
    writer.add_bool("k.bool", True)
    writer.add_string("k.text", "grün ▁ 🙂")
    writer.add_array("k.floats", [0.25, -2.0])
    writer.add_array("k.texts", ["a", "", "ß"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = GgufFile(tmp_path / "kinds.gguf").metadata
    assert {key.removeprefix("k."): value for key, value in found.items() if key.startswith("k.")} == values | {
        "f32": 0.5,
        "f64": 1e-300,
        "bool": True,
        "text": "grün ▁ 🙂",
        "floats": [0.25, -2.0],
        "texts": ["a", "", "ß"],
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "cannot be opened"),
        (b"PK\x03\x04 a wheel, not a model", "begins with b'PK"),
        (b"GGUF\x03\x00", "the file has 6"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "the file has 24"),
    ],
)
def test_what_is_no_gguf_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(DamagedModel, match=complaint) as caught:
        GgufFile(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_versions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0))
    with pytest.raises(UnsupportedModel, match="version 1"):
        GgufFile(tmp_path / "old.gguf")


def test_a_missing_file_and_tensor_are_named(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(DamagedModel, match=r"absent\.gguf: cannot be opened"):
        GgufFile(tmp_path / "absent.gguf")
    with pytest.raises(DamagedModel, match="tensor nope is missing"):
        GgufFile(tiny.gguf.path).tensor("nope")


def test_a_file_cut_anywhere_is_damaged(tiny: Any, tmp_path: Path) -> None:
    whole = tiny.gguf.path.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in [*range(0, 200, 7), *range(200, len(whole) - 1, len(whole) // 60), len(whole) - 33]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedModel):
            GgufFile(path)


def test_cut_tensor_data_says_how_much_is_missing(tiny: Any, tmp_path: Path) -> None:
    whole = tiny.gguf.path.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[:-1000])
    with pytest.raises(DamagedModel, match=rf"the file has {len(whole) - 1000:,}: it was cut short"):
        GgufFile(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_never_raise_anything_but_ours(tiny: Any, tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(tiny.gguf.path.read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    files = ModelFiles("x", "gguf", tmp_path / "changed.gguf")
    files.path.write_bytes(content)
    with contextlib.suppress(ModelLoadError):
        config = ModelConfig.load(files)
        Tokenizer.load(files, vocab_size=config.vocab_size)
        load_weights(files, config)


def test_dequantizing_peaks_near_the_result(tmp_path: Path) -> None:
    values = np.zeros((20_000, 64), dtype=np.float32)
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "llama")
    packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("matrix", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = GgufFile(tmp_path / "one.gguf")
    tracemalloc.start()
    file.tensor("matrix")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * values.nbytes
