"""Matrices multiplied in integers, against the same arithmetic in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import simd_dot
from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind, BlockMatrix
from runtime.model.dot_kernels import compile_dot_gemm
from runtime.model.dot_linear import DotLinear, in_blocks, packed_panels
from runtime.model.product import PanelKernel, Product

Floats = npt.NDArray[np.float32]
KINDS = pytest.mark.parametrize("kind", BLOCK_KINDS.values(), ids=lambda kind: kind.name)


def matrix_of(kind: BlockKind, rows: int, blocks: int, seed: int) -> BlockMatrix:
    """Random blocks; their scales and minima are of the size a model's are."""
    random = np.random.default_rng(seed)
    raw = random.integers(0, 256, (rows, blocks, kind.num_bytes), dtype=np.uint8)
    heads = random.standard_normal((rows, blocks, kind.scale_bytes // 2)).astype(np.float16) / np.float16(16)
    raw[:, :, : kind.scale_bytes] = heads.view(np.uint8)
    if kind.bits == 8:  # files hold -127 … 127
        raw[:, :, 2:][raw[:, :, 2:] == 128] = 0
    return BlockMatrix(kind, raw)


def parts_of(matrix: BlockMatrix) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Scales, minima [rows, blocks] and quants [rows, blocks, 32] of the plain description of the format."""
    kind = matrix.kind
    heads = np.ascontiguousarray(matrix.blocks[:, :, : kind.scale_bytes]).view(np.float16).astype(np.float32)
    raw = matrix.blocks[:, :, kind.scale_bytes :]
    quants = raw.view(np.int8) if kind.bits == 8 else np.concatenate((raw & 15, raw >> 4), axis=2)
    scales = heads[:, :, 0]
    minima = heads[:, :, 1] if kind.has_minimum else -np.float32(kind.zero) * scales
    return scales, minima, quants.astype(np.int64)


def plain(matrix: BlockMatrix, x: Floats) -> Floats:
    """x · matrixᵀ as the kernel does it, sums of blocks in float64."""
    scales, minima, quants = parts_of(matrix)
    blocks = x.reshape(len(x), -1, BLOCK_SIZE)
    greatest = np.abs(blocks).max(axis=2)
    inverse = np.divide(np.float32(127), greatest, out=np.zeros_like(greatest), where=greatest > 0)
    rounded = np.rint(blocks * inverse[:, :, None]).astype(np.int64)
    row_scales = greatest * np.float32(1 / 127)
    dots = np.einsum("rbi,obi->rob", rounded, quants).astype(np.float64)
    total = np.einsum("rob,ob,rb->ro", dots, scales.astype(np.float64), row_scales.astype(np.float64))
    sums = rounded.sum(axis=2) * row_scales.astype(np.float64)
    return (total + np.einsum("rb,ob->ro", sums, minima.astype(np.float64))).astype(np.float32)


@KINDS
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 30), blocks=st.integers(1, 6), outer=st.integers(1, 130), seed=st.integers(0, 99))
def test_products_of_any_shape_are_those_of_the_plain_arithmetic(
    kind: BlockKind, rows: int, blocks: int, outer: int, seed: int
) -> None:
    matrix = matrix_of(kind, outer, blocks, seed)
    x = np.random.default_rng(seed).standard_normal((rows, blocks * BLOCK_SIZE)).astype(np.float32)
    found = DotLinear(matrix)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, plain(matrix, x), rtol=1e-4, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 8])
@pytest.mark.parametrize("way", range(len(simd_dot.WAYS)))
def test_every_set_of_instructions_that_runs_here_gives_the_same_bits(number: int, way: int) -> None:
    kind = BLOCK_KINDS[number]
    own, best = simd_dot.WAYS[way], simd_dot.WAYS[simd_dot.HOST]
    if way == simd_dot.HOST:
        pytest.skip("the other tests run this one")
    if own.lanes > best.lanes or own.has_dot > best.has_dot:
        pytest.skip("these instructions are not on this machine")
    matrix = matrix_of(kind, 77, 5, way)
    x = torch.randn(13, 5 * BLOCK_SIZE, generator=torch.Generator().manual_seed(way))
    panels = packed_panels(matrix, own.width)
    packing = 128 if own.shifts_rows(kind) else 0
    kernel = PanelKernel(compile_dot_gemm(kind, way), own.width, packing, simd_dot.ROW_BLOCK)
    assert torch.equal(Product(kernel, panels, 5).of(x, 77, None), DotLinear(matrix)(x))


@KINDS
def test_the_greatest_quants_do_not_overflow(kind: BlockKind) -> None:
    matrix = matrix_of(kind, 40, 3, 1)
    matrix.blocks[:, :, kind.scale_bytes :] = 0xFF if kind.bits == 4 else 0x81  # 15, or -127
    for sign in (1.0, -1.0):
        x = torch.full((7, 96), sign)
        np.testing.assert_allclose(DotLinear(matrix)(x).numpy(), plain(matrix, x.numpy()), rtol=1e-4, atol=1e-3)


@KINDS
def test_a_row_has_the_same_bits_alone_and_in_a_batch_of_any_size(kind: BlockKind) -> None:
    linear, x = DotLinear(matrix_of(kind, 150, 4, 2)), torch.randn(70, 128)
    whole = linear(x)
    for first, end in ((0, 1), (5, 6), (3, 20), (69, 70), (10, 43)):
        assert torch.equal(linear(x[first:end]), whole[first:end])


@KINDS
@pytest.mark.parametrize("outer", [96, 100])
def test_bias_and_adding_in_place(kind: BlockKind, outer: int) -> None:
    matrix, bias = matrix_of(kind, outer, 2, 3), torch.randn(outer)
    x, residual = torch.randn(5, 64), torch.randn(5, outer)
    product = DotLinear(matrix)(x)
    assert torch.equal(DotLinear(matrix, bias)(x), product + bias)
    total = residual + product + bias
    DotLinear(matrix, bias).add_to(residual, x)
    torch.testing.assert_close(residual, total, rtol=1e-5, atol=1e-4)


@KINDS
def test_rows_are_those_of_the_dequantized_matrix(kind: BlockKind) -> None:
    matrix, indices = matrix_of(kind, 150, 2, 4), torch.tensor([149, 0, 47, 48, 0])
    rows = DotLinear(matrix).rows(indices)
    assert torch.equal(rows, torch.from_numpy(matrix.dequantize())[indices])
    assert rows.is_contiguous()


def test_nothing_times_a_matrix_and_rows_of_zeros_or_no_numbers() -> None:
    linear = DotLinear(matrix_of(BLOCK_KINDS[8], 33, 2, 5))
    assert linear(torch.empty(0, 64)).shape == (0, 33)
    x = torch.zeros(3, 64)
    x[1, 7], x[2, 40] = float("nan"), float("inf")
    found = linear(x)
    assert torch.equal(found[0], torch.zeros(33))
    assert bool(found[1:].isnan().all())


def test_a_matrix_is_rounded_to_eight_bits_or_refused() -> None:
    weight = torch.randn(20, 64)
    error = (torch.from_numpy(in_blocks(weight).dequantize()) - weight).abs().max()
    assert error <= weight.abs().max() / 127
    with pytest.raises(ValueError, match="a row of 40 values does not fill blocks of 32"):
        in_blocks(torch.randn(3, 40))
