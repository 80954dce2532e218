"""DotLinear: a matrix in blocks multiplied in integers."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize

from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind, BlockMatrix
from runtime.model.product import PanelKernel, Product

__all__ = ["ROUNDED", "DotLinear", "dot_kernel", "in_blocks"]

ROUNDED = BLOCK_KINDS[GGMLQuantizationType.Q8_0.value]
"""The blocks that a matrix without any is rounded to."""

_AT_ONCE = 16
"""Panels packed together: enough that numpy is called seldom, few enough to stay in the cache."""


class DotLinear:
    """Weights in GGUF's blocks in panels; rows are rounded to 8 bits in blocks of 32 and multiplied in integers.

    A row's result has the same bits whatever other rows are in the batch (see `runtime.simd_dot`).

    Args:
        weight: [out_features, in_features]; a rearranged copy is kept.
        bias: float32 [out_features].
    """

    def __init__(self, weight: BlockMatrix, bias: torch.Tensor | None = None) -> None:
        kernel = dot_kernel(weight.kind.number)
        self.kind = weight.kind
        self.out_features, self.in_features = weight.shape
        self.bias = bias
        panels = packed_panels(weight, kernel.width)
        self.product = Product(kernel, panels, panels.shape[1])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        return self.product.of(x, self.out_features, self.bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        self.product.add_to(residual, x, self.bias)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the weight, [N, in_features], for indices int64 [N]: a tied embedding's lookup."""
        panels, width = self.product.panels, self.product.kernel.width
        panel, column = indices // width, indices % width
        heads = panels[:, :, : 4 * width].view(torch.float16)
        scale = heads[panel, :, column].float().unsqueeze(2)
        num_panels, num_blocks, _ = panels.shape
        fours = panels[:, :, 4 * width :].view(num_panels, num_blocks, -1, width, 4)
        quants = fours[panel, :, :, column]
        if self.kind.bits == 8:
            values = quants.contiguous().view(torch.int8).float()
        else:
            values = torch.stack((quants & 15, quants >> 4), dim=3).float()
        values = values.flatten(2)
        if self.kind.zero:
            values.sub_(self.kind.zero)
        values.mul_(scale)
        if self.kind.has_minimum:
            values.add_(heads[panel, :, width + column].float().unsqueeze(2))
        return values.flatten(1)


@cache
def dot_kernel(number: int) -> PanelKernel:
    """The kernel for a kind of blocks.

    Raises:
        Exception: whatever numba raises where it does not compile.
    """
    from runtime.model.dot_kernels import compile_dot_gemm
    from runtime.model.lookup_kernels import compile_dot_lookup
    from runtime.simd_dot import HOST, ROW_BLOCK, WAYS

    kind = BLOCK_KINDS[number]
    packing = 128 if WAYS[HOST].shifts_rows(kind) else 0
    return PanelKernel(compile_dot_gemm(kind), WAYS[HOST].width, packing, ROW_BLOCK, lookup=compile_dot_lookup(kind))


def in_blocks(weight: torch.Tensor) -> BlockMatrix:
    """A float32 matrix, whole blocks wide, rounded to GGUF's 8-bit blocks.

    Raises:
        ValueError: a row does not fill its last block.
    """
    num_rows, num_columns = weight.shape
    if num_columns % BLOCK_SIZE:
        raise ValueError(f"a row of {num_columns} values does not fill blocks of {BLOCK_SIZE}")
    blocks = quantize(weight.numpy(), GGMLQuantizationType.Q8_0)
    return BlockMatrix(ROUNDED, blocks.reshape(num_rows, num_columns // BLOCK_SIZE, ROUNDED.num_bytes))


def packed_panels(weight: BlockMatrix, width: int) -> torch.Tensor:
    """uint8 [panels, blocks, bytes a block], as `runtime.simd_dot` reads it; 0 past the last row."""
    num_rows, num_blocks, _ = weight.blocks.shape
    num_panels = -(-num_rows // width)
    num_bytes = width * (4 + BLOCK_SIZE * weight.kind.bits // 8)
    panels = np.empty((num_panels, num_blocks, num_bytes), dtype=np.uint8)
    for panel in range(0, num_panels, _AT_ONCE):
        some = panels[panel : panel + _AT_ONCE]
        rows = weight.blocks[panel * width : (panel + len(some)) * width]
        if len(rows) < len(some) * width:
            rows = np.pad(rows, ((0, len(some) * width - len(rows)), (0, 0), (0, 0)))
        _pack(rows.reshape(len(some), width, num_blocks, -1), weight.kind, some)
    return torch.from_numpy(panels)


def _pack(rows: npt.NDArray[np.uint8], kind: BlockKind, target: npt.NDArray[np.uint8]) -> None:
    """Blocks [panels, width, blocks, bytes] into panels [panels, blocks, bytes]."""
    width = rows.shape[1]
    scales = np.ascontiguousarray(rows[..., : kind.scale_bytes]).view(np.uint16).transpose(0, 2, 1, 3)
    quants = np.ascontiguousarray(rows[..., kind.scale_bytes :])
    head = target[..., : 4 * width].view(np.uint16)
    head[..., :width] = scales[..., 0]
    if kind.has_minimum:
        head[..., width:] = scales[..., 1]
    elif kind.bits == 8:
        head[..., width:] = _sums(quants).view(np.uint16).transpose(0, 2, 1)
    else:
        head[..., width:] = 0
    fours = quants.view(np.uint32)
    if kind.bits == 4:
        fours = _interleaved(fours)
    out = target[..., 4 * width :].view(np.uint32).reshape(*target.shape[:2], -1, width)
    out[...] = fours.transpose(0, 2, 3, 1)


def _sums(quants: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Of each block's 32 quants of 8 bits: as a product with ones, which is many times as fast as a sum."""
    values = quants.view(np.int8).astype(np.float32)
    return (values @ np.ones(BLOCK_SIZE, dtype=np.float32)).astype(np.int16)


def _interleaved(fours: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """A byte j of the file holds the values j and j + 16 of a block; here the values i and i + 4 of eight."""
    low, high = np.uint32(0x0F0F0F0F), np.uint32(0xF0F0F0F0)
    first, second = fours[..., 0::2], fours[..., 1::2]
    return np.concatenate(
        ((first & low) | (second & low) << np.uint32(4), (first & high) >> np.uint32(4) | (second & high)), axis=-1
    )
