"""The pool keeps what is written, as well as its dtype can."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runtime.attention.base import KV_DTYPES, KVPool

SHAPE = {"num_layers": 2, "num_pages": 5, "page_size": 4, "num_kv_heads": 3, "head_dim": 16}
LOSS = {"float32": 0.0, "bfloat16": 2**-8, "float16": 2**-11, "int8": 1 / 254}


def _pool(name: str) -> KVPool:
    return KVPool(**SHAPE, dtype=KV_DTYPES[name])


@pytest.mark.parametrize("name", list(KV_DTYPES))
def test_what_is_read_is_what_was_written_to_within_the_dtype(name: str) -> None:
    pool, slots = _pool(name), torch.tensor([7, 4, 19])
    written = [torch.randn(3, 3, 16) * scale for scale in (1.0, 30.0)]
    pool.write(1, slots, *written)
    for was, read, taken in zip(written, pool.read(1, slots), pool.take(slots), strict=True):
        largest = was.abs().amax(dim=-1, keepdim=True)
        assert read.dtype is torch.float32
        assert ((was - read).abs() <= LOSS[name] * 1.001 * largest).all()
        assert torch.equal(taken[1], read)
    assert pool.is_exact == (name == "float32")
    zero = torch.zeros(1, 3, 16)
    pool.write(0, slots[:1], zero, zero)
    assert not pool.read(0, slots[:1])[0].any()


@pytest.mark.parametrize("name", list(KV_DTYPES))
def test_a_copy_has_the_same_bits_and_what_was_taken_can_be_put(name: str) -> None:
    pool = _pool(name)
    slots, others = torch.arange(4, 8), torch.arange(12, 16)
    for layer in range(2):
        pool.write(layer, slots, torch.randn(4, 3, 16), torch.randn(4, 3, 16))
    pool.copy(4, 12, 4)
    for was, copied in zip(pool.take(slots), pool.take(others), strict=True):
        assert torch.equal(was, copied)
    pool.put(torch.arange(16, 20), *pool.take(slots))
    for was, put in zip(pool.take(slots), pool.take(torch.arange(16, 20)), strict=True):
        torch.testing.assert_close(was, put, rtol=LOSS[name] / 100, atol=1e-7)


@pytest.mark.parametrize(("name", "expected"), [("float32", 64), ("bfloat16", 32), ("float16", 32), ("int8", 20)])
def test_bytes_are_counted_with_the_scales(name: str, expected: int) -> None:
    per_token = KVPool.bytes_per_token(2, 3, 16, KV_DTYPES[name])
    assert per_token == 2 * 2 * 3 * expected
    assert _pool(name).num_bytes == 20 * per_token


@pytest.mark.parametrize("name", list(KV_DTYPES))
def test_a_page_comes_back_bit_for_bit(name: str) -> None:
    """Scales and all, whatever the bits are: also those that are no number."""
    pool = _pool(name)
    for store in pool._stores:
        store[:, 4:] = np.frombuffer(np.random.default_rng(7).bytes(store[:, 4:].nbytes), np.uint8).reshape(
            store[:, 4:].shape
        )
    before = [store.copy() for store in pool._stores]
    payload = pool.read_page(2)
    assert len(payload) == pool.page_bytes
    pool.write_page(4, payload)
    for was, store in zip(before, pool._stores, strict=True):
        assert (store[:, 16:20] == was[:, 8:12]).all()
        assert (store[:, :16] == was[:, :16]).all()
    assert pool.read_page(4) == payload


@pytest.mark.parametrize("name", list(KV_DTYPES))
def test_a_page_means_the_same_in_another_pool(name: str) -> None:
    pool, other = _pool(name), _pool(name)
    slots = torch.arange(8, 12)
    for layer in range(2):
        pool.write(layer, slots, torch.randn(4, 3, 16), 30 * torch.randn(4, 3, 16))
    other.write_page(1, pool.read_page(2))
    for was, there in zip(pool.take(slots), other.take(torch.arange(4, 8)), strict=True):
        assert torch.equal(was, there)
