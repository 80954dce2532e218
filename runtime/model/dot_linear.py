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
    for panel in range(num_panels):
        rows = weight.blocks[panel * width : (panel + 1) * width]
        if len(rows) < width:
            rows = np.pad(rows, ((0, width - len(rows)), (0, 0), (0, 0)))
        _pack(rows, weight.kind, panels[panel])
    return torch.from_numpy(panels)


def _pack(rows: npt.NDArray[np.uint8], kind: BlockKind, target: npt.NDArray[np.uint8]) -> None:
    width, num_blocks, _ = rows.shape
    scales = np.ascontiguousarray(rows[:, :, : kind.scale_bytes]).view(np.uint16)
    quants = rows[:, :, kind.scale_bytes :]
    head = target[:, : 4 * width].view(np.uint16)
    head[:, :width] = scales[:, :, 0].T
    if kind.has_minimum:
        head[:, width:] = scales[:, :, 1].T
    elif kind.bits == 8:
        head[:, width:] = quants.view(np.int8).sum(axis=2, dtype=np.int16).view(np.uint16).T
    else:
        head[:, width:] = 0
    if kind.bits == 4:  # a byte j of the file holds the values j and j + 16; here the values i and i + 4 of 8
        values = np.concatenate((quants & 15, quants >> 4), axis=2).reshape(width, num_blocks, 4, 2, 4)
        quants = values[:, :, :, 0] | values[:, :, :, 1] << 4
    fours = quants.reshape(width, num_blocks, -1, 4).transpose(1, 2, 0, 3)
    target[:, 4 * width :] = fours.reshape(num_blocks, -1)
