"""What kept KV is told apart by: everything it depends on, and nothing that changes from start to start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.attention.base import KV_DTYPES, KVPool
from runtime.model.config import RopeScaling
from runtime.model.hub import ModelFiles
from runtime.model.identity import kv_identity, weights_identity
from runtime.model.loader import tiny_config

SHAPE = tiny_config(vocab_size=64, max_position_embeddings=128)
VOCABULARY = (b"a", b"b", None, b"")
DESCRIBED = {"weight_format": "float32", "attention": "cpu", "layers": "ours", "threads": "2"}


def pool(dtype: str = "float32", page_size: int = 4, **changed: int) -> KVPool:
    sizes = {"num_layers": 2, "num_pages": 3, "num_kv_heads": 2, "head_dim": 8, **changed}
    return KVPool(**sizes, page_size=page_size, dtype=KV_DTYPES[dtype])


def identity(**changed: Any) -> bytes:
    given = {
        "weights": "w", "shape": SHAPE, "vocabulary": VOCABULARY, "pool": pool(), "described": DESCRIBED, **changed
    }  # fmt: skip
    return kv_identity(**given)


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": "v"},
        {"weights": ""},
        {"shape": replace(SHAPE, rope_theta=SHAPE.rope_theta * 2)},
        {"shape": replace(SHAPE, rope_scaling=RopeScaling(kind="linear", factor=2.0))},
        {"shape": replace(SHAPE, rms_norm_eps=1e-3)},
        {"vocabulary": (b"a", b"c", None, b"")},
        {"vocabulary": (b"a", b"b", b"", b"")},
        {"vocabulary": (b"ab", b"", None, b"")},
        {"vocabulary": VOCABULARY[:-1]},
        {"described": {**DESCRIBED, "weight_format": "bfloat16"}},
        {"described": {**DESCRIBED, "attention": "torch"}},
        {"described": {**DESCRIBED, "layers": "torch"}},
        {"pool": pool(page_size=8)},
        *({"pool": pool(name)} for name in KV_DTYPES if name != "float32"),
    ],
)
def test_it_is_another_one_where_anything_is_that_kv_depends_on(changed: dict[str, Any]) -> None:
    assert identity(**changed) != identity()


def test_dtypes_of_one_size_are_told_apart() -> None:
    assert len({identity(pool=pool(name)) for name in KV_DTYPES}) == len(KV_DTYPES)


def test_it_is_the_same_after_a_restart_and_with_a_larger_pool_and_more_threads() -> None:
    again = {**dict(reversed(DESCRIBED.items())), "threads": "16"}
    assert identity(described=again, shape=replace(SHAPE), pool=pool(num_pages=9)) == identity()
    assert len(identity()) == 32


def files(path: Path, **contents: bytes) -> ModelFiles:
    path.mkdir()
    for name, content in contents.items():
        (path / f"{name}.safetensors").write_bytes(content)
    (path / "config.json").write_text("{}")
    return ModelFiles("m", "safetensors", path)


def test_weights_are_told_apart_by_every_byte_of_every_file(tmp_path: Path) -> None:
    same = [weights_identity(files(tmp_path / name, one=b"1234", two=b"56")) for name in ("a", "b")]
    others = [
        weights_identity(files(tmp_path / "c", one=b"1234", two=b"57")),
        weights_identity(files(tmp_path / "d", one=b"12345", two=b"6")),
        weights_identity(files(tmp_path / "e", one=b"123456")),
        weights_identity(files(tmp_path / "f", one=b"56", two=b"1234")),
    ]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 5


def test_a_single_file_is_a_model_too(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF and more")
    one = weights_identity(ModelFiles("m", "gguf", path))
    path.write_bytes(b"GGUF and morf")
    assert weights_identity(ModelFiles("m", "gguf", path)) != one
    path.unlink()
    with pytest.raises(FileNotFoundError):
        weights_identity(ModelFiles("m", "gguf", path))
