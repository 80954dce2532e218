"""DotLinear: a matrix in blocks multiplied in integers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize

from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind, BlockMatrix

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
        self._gemm, self._width, self._row_block = dot_kernel(weight.kind.number)
        self.kind = weight.kind
        self.out_features, self.in_features = weight.shape
        self._bias = bias
        self._panels = packed_panels(weight, self._width)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        result = x.new_empty(x.shape[0], len(self._panels) * self._width)
        self._multiply(x, result, add=False)
        result = result[:, : self.out_features]
        return result if self._bias is None else result.add_(self._bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        if self.out_features % self._width or not residual.is_contiguous():
            residual.add_(self(x))
            return
        self._multiply(x, residual, add=True)
        if self._bias is not None:
            residual.add_(self._bias)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the weight, [N, in_features], for indices int64 [N]: a tied embedding's lookup."""
        panel, column = indices // self._width, indices % self._width
        heads = self._panels[:, :, : 4 * self._width].view(torch.float16)
        scale = heads[panel, :, column].float().unsqueeze(2)
        num_panels, num_blocks, _ = self._panels.shape
        fours = self._panels[:, :, 4 * self._width :].view(num_panels, num_blocks, -1, self._width, 4)
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
            values.add_(heads[panel, :, self._width + column].float().unsqueeze(2))
        return values.flatten(1)

    def _multiply(self, x: torch.Tensor, out: torch.Tensor, *, add: bool) -> None:
        x = x.contiguous()
        num_panels, num_blocks, _ = self._panels.shape
        scratch = torch.empty(x.shape[0] * num_blocks * self._row_block, dtype=torch.uint8)
        self._gemm(
            x.data_ptr(),
            self._panels.data_ptr(),
            out.data_ptr(),
            x.shape[0],
            num_blocks,
            num_panels,
            add,
            torch.get_num_threads(),
            scratch.data_ptr(),
        )


@cache
def dot_kernel(number: int) -> tuple[Callable[..., None], int, int]:
    """The kernel for a kind of blocks, outputs in a panel, and bytes of a packed block of a row.

    Raises:
        Exception: whatever numba raises where the kernel does not compile.
    """
    from runtime.model.dot_kernels import compile_dot_gemm
    from runtime.simd_dot import HOST, ROW_BLOCK, WAYS

    return compile_dot_gemm(BLOCK_KINDS[number]), WAYS[HOST].width, ROW_BLOCK


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
