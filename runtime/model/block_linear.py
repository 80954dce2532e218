"""BlockLinear: a matrix multiplied out of its blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind, BlockMatrix
from runtime.model.product import PanelKernel, Product

__all__ = ["BlockLinear", "block_kernel", "block_lookup"]


class BlockLinear:
    """Weights in GGUF's blocks in panels, expanded to float32 by the kernel (see `runtime.model.block_kernels`).

    Results and rows have the same bits as those of `PackedLinear` on the dequantized matrix.

    Args:
        weight: [out_features, in_features]; a rearranged copy is kept.
        bias: float32 [out_features].
    """

    def __init__(self, weight: BlockMatrix, bias: torch.Tensor | None = None) -> None:
        kernel = block_kernel(weight.kind.number)
        self.kind = weight.kind
        self.out_features, self.in_features = weight.shape
        self.bias = bias
        panels = _packed(weight, kernel.width)
        self.product = Product(kernel, panels, panels.shape[1])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        return self.product.of(x, self.out_features, self.bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        self.product.add_to(residual, x, self.bias)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the weight, [N, in_features], for indices int64 [N]: a tied embedding's lookup."""
        kind, panels, width = self.kind, self.product.panels, self.product.kernel.width
        panel, column = indices // width, indices % width
        half = width // 2  # halves are as many as half the bytes of a line
        line, place = column // half, column % half
        halves = panels.view(torch.float16)
        scale = halves[panel, :, line, place].float().unsqueeze(2)
        quants = panels[panel, :, :, column][:, :, kind.scale_bytes :]
        if kind.bits == 8:
            values = quants.view(torch.int8).float()
        else:
            values = torch.stack((quants & 15, quants >> 4), dim=3).flatten(2).float()
        if kind.zero:
            values.sub_(kind.zero)
        values.mul_(scale)
        if kind.has_minimum:
            values.add_(halves[panel, :, 2 + line, place].float().unsqueeze(2))
        return values.flatten(1)


def block_lookup(weight: BlockMatrix) -> Callable[[torch.Tensor], torch.Tensor]:
    """Gives rows of an embedding, float32 [N, columns], for indices int64 [N]; keeps a copy of the blocks."""
    own = BlockMatrix(weight.kind, weight.blocks.copy())
    return lambda indices: torch.from_numpy(own.select(indices.numpy()).dequantize())


@cache
def block_kernel(number: int) -> PanelKernel:
    """The kernel for a kind of blocks.

    Raises:
        Exception: whatever numba raises where it does not compile.
    """
    from runtime.model.block_kernels import CHUNK, compile_block_gemm
    from runtime.model.cpu_kernels import PANEL

    return PanelKernel(compile_block_gemm(BLOCK_KINDS[number]), PANEL, scratch=CHUNK * BLOCK_SIZE * PANEL)


def _packed(weight: BlockMatrix, width: int) -> torch.Tensor:
    """uint8 [panels, blocks, bytes a block, width], as `runtime.simd_blocks` reads it; 0 past the last row."""
    num_rows, num_blocks, num_bytes = weight.blocks.shape
    num_panels = -(-num_rows // width)
    panels = np.empty((num_panels, num_blocks, num_bytes, width), dtype=np.uint8)
    for panel in range(num_panels):
        rows = weight.blocks[panel * width : (panel + 1) * width]
        if len(rows) < width:
            panels[panel] = 0
        _pack(rows, weight.kind, panels[panel])
    return torch.from_numpy(panels)


def _pack(rows: npt.NDArray[np.uint8], kind: BlockKind, target: npt.NDArray[np.uint8]) -> None:
    count, num_scales = len(rows), kind.scale_bytes // 2
    scales = np.ascontiguousarray(rows[:, :, : kind.scale_bytes]).view(np.uint16)
    lines = target[:, : kind.scale_bytes].reshape(len(target), num_scales, -1).view(np.uint16)
    lines[:, :, :count] = scales.transpose(1, 2, 0)
    target[:, : kind.scale_bytes] = lines.view(np.uint8).reshape(len(target), kind.scale_bytes, -1)
    quants = rows[:, :, kind.scale_bytes :].transpose(1, 2, 0)
    if kind.bits == 4:  # A byte j holds the values j and j + 16.
        low, high = quants & 15, quants >> 4
        quants = np.concatenate([half[:, ::2] | half[:, 1::2] << 4 for half in (low, high)], axis=1)
    target[:, kind.scale_bytes :, :count] = quants
