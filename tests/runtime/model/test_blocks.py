"""Matrices in GGUF's blocks against the same matrix dequantized by the `gguf` package, bit for bit."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.model.block_linear import BlockLinear, block_lookup
from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind, BlockMatrix
from runtime.model.linear import PackedLinear

EXTREMES = np.array([0.0, -0.0, 65504.0, -65504.0, 6e-8, -6e-8, 6.1e-5, 1.0, -0.1], dtype=np.float16)
KINDS = st.sampled_from(list(BLOCK_KINDS.values()))


def random_blocks(kind: BlockKind, rows: int, num_blocks: int, seed: int, *, extreme: bool = False) -> BlockMatrix:
    """Any bytes for quants; scales and minima small, or out of EXTREMES."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (rows, num_blocks, kind.num_bytes), dtype=np.uint8)
    shape = (rows, num_blocks, kind.scale_bytes // 2)
    halves = generator.choice(EXTREMES, shape) if extreme else generator.normal(0, 0.1, shape).astype(np.float16)
    blocks[:, :, : kind.scale_bytes] = halves.view(np.uint8)
    return BlockMatrix(kind, blocks)


def dequantized(matrix: BlockMatrix) -> torch.Tensor:
    return torch.from_numpy(matrix.dequantize())


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """Tells 0 from -0."""
    return tensor.contiguous().view(torch.int32)


@pytest.mark.parametrize("kind", BLOCK_KINDS.values(), ids=lambda kind: kind.name)
def test_a_block_has_the_size_gguf_says(kind: BlockKind) -> None:
    assert (BLOCK_SIZE, kind.num_bytes) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind.number)]


@settings(max_examples=60, deadline=None)
@given(kind=KINDS, rows=st.integers(1, 130), num_blocks=st.integers(1, 5), seed=st.integers(0, 999))
def test_rows_come_back_as_the_package_dequantizes_them(kind: BlockKind, rows: int, num_blocks: int, seed: int) -> None:
    matrix = random_blocks(kind, rows, num_blocks, seed, extreme=True)
    indices = torch.from_numpy(np.random.default_rng(seed).integers(0, rows, 20))
    expected = torch.from_numpy(
        gguf.quants.dequantize(matrix.blocks.reshape(rows, -1), gguf.GGMLQuantizationType(kind.number))
    )
    assert matrix.shape == expected.shape
    assert torch.equal(bits(dequantized(matrix)), bits(expected))
    assert torch.equal(bits(block_lookup(matrix)(indices)), bits(expected[indices]))
    looked_up = BlockLinear(matrix).rows(indices)
    assert looked_up.is_contiguous()
    assert torch.equal(bits(looked_up), bits(expected[indices]))


@settings(max_examples=40, deadline=None)
@given(kind=KINDS, extreme=st.booleans(), rows=st.sampled_from([1, 20]), seed=st.integers(0, 999))
def test_the_kernel_expands_every_block_to_the_dequantized_values(
    kind: BlockKind, extreme: bool, rows: int, seed: int
) -> None:
    """Rows that are 1 in one place and 0 elsewhere pick single values out."""
    matrix = random_blocks(kind, 60, 6, seed, extreme=extreme)
    chosen = torch.from_numpy(np.random.default_rng(seed).integers(0, matrix.shape[1], rows))
    x = torch.nn.functional.one_hot(chosen, matrix.shape[1]).float()
    assert torch.equal(BlockLinear(matrix)(x), dequantized(matrix)[:, chosen].t())


@settings(max_examples=80, deadline=None)
@given(
    kind=KINDS,
    rows=st.sampled_from([1, 3, 8, 9, 16, 100]),
    outer=st.integers(1, 200),
    num_blocks=st.integers(1, 48),
    seed=st.integers(0, 999),
)
def test_products_have_the_bits_of_the_float32_panels(
    kind: BlockKind, rows: int, outer: int, num_blocks: int, seed: int
) -> None:
    matrix = random_blocks(kind, outer, num_blocks, seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, num_blocks * BLOCK_SIZE, generator=generator)
    bias = torch.randn(outer, generator=generator) if seed % 2 else None
    linear, oracle = BlockLinear(matrix, bias), PackedLinear(dequantized(matrix), bias)
    assert (linear.in_features, linear.out_features) == (oracle.in_features, oracle.out_features)
    assert torch.equal(linear(x), oracle(x))
    residual = torch.randn(rows, outer, generator=generator)
    expected = residual.clone()
    oracle.add_to(expected, x)
    linear.add_to(residual, x)
    assert torch.equal(residual, expected)


@pytest.mark.parametrize("rows", [1, 3, 8, 16, 100])
@pytest.mark.parametrize("kind", BLOCK_KINDS.values(), ids=lambda kind: kind.name)
def test_adding_in_place_to_a_whole_number_of_panels(kind: BlockKind, rows: int) -> None:
    matrix, x, bias = random_blocks(kind, 576, 18, 1), torch.randn(rows, 576), torch.randn(576)
    residual = torch.randn(rows, 576)
    expected = residual.clone()
    PackedLinear(dequantized(matrix), bias).add_to(expected, x)
    BlockLinear(matrix, bias).add_to(residual, x)
    assert torch.equal(residual, expected)


def test_no_rows_and_rows_that_are_not_contiguous() -> None:
    matrix, x = random_blocks(BLOCK_KINDS[3], 70, 2, 0), torch.randn(64, 9).t()
    linear = BlockLinear(matrix)
    assert linear(x[:0]).shape == (0, 70)
    assert torch.equal(linear(x), linear(x.contiguous()))


def test_stacked_parts_multiply_like_their_values_stacked() -> None:
    parts = [random_blocks(BLOCK_KINDS[3], rows, 3, rows) for rows in (40, 10, 30)]
    x = torch.randn(5, 96)
    values = torch.cat([dequantized(part) for part in parts])
    assert torch.equal(BlockLinear(BlockMatrix.stack(parts))(x), PackedLinear(values)(x))


def test_selected_rows_are_copied() -> None:
    matrix, order = random_blocks(BLOCK_KINDS[8], 10, 2, 0), [3, 1, 9]
    values, chosen = dequantized(matrix), matrix.select(np.array(order))
    matrix.blocks[:] = 0
    assert torch.equal(dequantized(chosen), values[order])
    assert torch.equal(block_lookup(chosen)(torch.tensor([2, 0])), values[[9, 3]])
