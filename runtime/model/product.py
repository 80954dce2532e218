"""Product: a matrix in panels, and how rows are multiplied with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from runtime.model.job import PRODUCT_JOB
from runtime.parallel.team import team_of

__all__ = ["PanelKernel", "Product", "compile_product"]


@dataclass(frozen=True, slots=True)
class PanelKernel:
    """A kernel that multiplies rows with panels, as `runtime.model.product_kernels` calls it.

    Args:
        function: what has the C function's `address`.
        width: outputs in a panel.
        packing: what is added to the quants of rows that are rounded to 8 bits first; -1 where they stay floats.
        row_block: bytes of a packed row for each of its `inner` units; 0 where rows stay floats.
        scratch: floats that each thread works on.
        lookup: gives rows of the matrix (see `runtime.model.lookup_kernels`), if there is one.
    """

    function: Any
    width: int
    packing: int = -1
    row_block: int = 0
    scratch: int = 0
    lookup: Any = None


class Product:
    """Multiplies rows with one matrix, in as many threads as torch has.

    Args:
        kernel: for panels of this kind.
        panels: the matrix, [panels, …], kept.
        inner: what the kernel counts in a row: floats, or blocks of them.
    """

    def __init__(self, kernel: PanelKernel, panels: torch.Tensor, inner: int) -> None:
        self.kernel = kernel
        self.panels = panels
        self.inner = inner
        self._multiply = compile_product()

    @property
    def width(self) -> int:
        """Outputs, those that fill the last panel included."""
        return len(self.panels) * self.kernel.width

    def describe(self, matrix: Any, bias: torch.Tensor | None) -> None:
        """Fills a `MATRIX` in; the bias is kept by the caller."""
        matrix["bias"] = 0 if bias is None else bias.data_ptr()
        matrix["kernel"], matrix["w"] = self.kernel.function.address, self.panels.data_ptr()
        matrix["inner"], matrix["panels"] = self.inner, len(self.panels)
        matrix["width"], matrix["packing"] = self.kernel.width, self.kernel.packing

    def of(self, x: torch.Tensor, out_features: int, bias: torch.Tensor | None) -> torch.Tensor:
        """The product with x, float32 [T, in_features], of which `out_features` are outputs, and the bias added."""
        result = x.new_empty(x.shape[0], self.width)
        self.into(result, x, add=False)
        result = result[:, :out_features]
        return result if bias is None else result.add_(bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Adds the product with x, and the bias, to `residual` [T, out_features] in place."""
        if residual.shape[1] != self.width or not residual.is_contiguous():
            residual.add_(self.of(x, residual.shape[1], bias))
            return
        self.into(residual, x, add=True)
        if bias is not None:
            residual.add_(bias)

    def into(self, out: torch.Tensor, x: torch.Tensor, *, add: bool) -> None:
        """Multiplies x, float32 [T, in_features], into the contiguous `out`, float32 [T, width]."""
        x = x.contiguous()
        kernel, rows = self.kernel, x.shape[0]
        team = team_of(torch.get_num_threads())
        packed = np.empty(rows * self.inner * kernel.row_block, dtype=np.uint8)
        scratch = np.empty(kernel.scratch * team.threads, dtype=np.float32)
        job = np.zeros(1, dtype=PRODUCT_JOB)
        job["kernel"], job["packing"] = kernel.function.address, kernel.packing
        job["x"], job["w"], job["out"] = x.data_ptr(), self.panels.data_ptr(), out.data_ptr()
        job["rows"], job["inner"], job["panels"], job["add"] = rows, self.inner, len(self.panels), add
        job["packed"], job["scratch"] = packed.ctypes.data, scratch.ctypes.data
        team.run(self._multiply.address, job, 2)


@cache
def compile_product() -> Any:
    """The function that a team multiplies with.

    Raises:
        Exception: whatever numba raises where it does not compile.
    """
    from runtime.model.product_kernels import compile_multiply

    return compile_multiply()
