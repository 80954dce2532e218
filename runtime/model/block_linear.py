"""BlockLinear: a matrix multiplied out of its blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind, BlockMatrix

__all__ = ["BlockLinear", "block_kernel", "block_lookup"]


class BlockLinear:
    """Weights in GGUF's blocks in panels, expanded to float32 by the kernel (see `runtime.model.block_kernels`).

    Results and rows have the same bits as those of `PackedLinear` on the dequantized matrix.

    Args:
        weight: [out_features, in_features]; a rearranged copy is kept.
        bias: float32 [out_features].
    """

    def __init__(self, weight: BlockMatrix, bias: torch.Tensor | None = None) -> None:
        self._gemm, width, self._chunk = block_kernel(weight.kind.number)
        self.kind = weight.kind
        self.out_features, self.in_features = weight.shape
        self._bias = bias
        self._panels = _packed(weight, width)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        num_panels, _, _, width = self._panels.shape
        result = x.new_empty(x.shape[0], num_panels * width)
        self._multiply(x, result, add=False)
        result = result[:, : self.out_features]
        return result if self._bias is None else result.add_(self._bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        if self.out_features % self._panels.shape[3] or not residual.is_contiguous():
            residual.add_(self(x))
            return
        self._multiply(x, residual, add=True)
        if self._bias is not None:
            residual.add_(self._bias)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the weight, [N, in_features], for indices int64 [N]: a tied embedding's lookup."""
        kind, width = self.kind, self._panels.shape[3]
        panel, column = indices // width, indices % width
        half = width // 2  # halves are as many as half the bytes of a line
        line, place = column // half, column % half
        halves = self._panels.view(torch.float16)
        scale = halves[panel, :, line, place].float().unsqueeze(2)
        quants = self._panels[panel, :, :, column][:, :, kind.scale_bytes :]
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

    def _multiply(self, x: torch.Tensor, out: torch.Tensor, *, add: bool) -> None:
        x, threads = x.contiguous(), torch.get_num_threads()
        num_panels, num_blocks, _, width = self._panels.shape
        scratch = x.new_empty(threads * self._chunk * BLOCK_SIZE * width)
        self._gemm(
            x.data_ptr(),
            self._panels.data_ptr(),
            out.data_ptr(),
            x.shape[0],
            num_blocks,
            num_panels,
            add,
            threads,
            scratch.data_ptr(),
        )


def block_lookup(weight: BlockMatrix) -> Callable[[torch.Tensor], torch.Tensor]:
    """Gives rows of an embedding, float32 [N, columns], for indices int64 [N]; keeps a copy of the blocks."""
    own = BlockMatrix(weight.kind, weight.blocks.copy())
    return lambda indices: torch.from_numpy(own.select(indices.numpy()).dequantize())


@cache
def block_kernel(number: int) -> tuple[Callable[..., None], int, int]:
    """The kernel for a kind of blocks, outputs in a panel, and blocks that are expanded at once.

    Raises:
        Exception: whatever numba raises where the kernel does not compile.
    """
    from runtime.model.block_kernels import CHUNK, compile_block_gemm
    from runtime.model.cpu_kernels import PANEL

    return compile_block_gemm(BLOCK_KINDS[number]), PANEL, CHUNK


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
