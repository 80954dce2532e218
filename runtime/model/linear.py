"""Matrices of a model: how they are kept in memory and multiplied, by name of the weight format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch

from runtime.errors import ConfigError
from runtime.model.block_linear import BlockLinear, block_kernel
from runtime.model.blocks import BLOCK_SIZE, BlockMatrix
from runtime.model.dot_linear import ROUNDED, DotLinear, dot_kernel, in_blocks
from runtime.model.product import PanelKernel, Product, compile_product

__all__ = [
    "KEEP_BLOCKS",
    "WEIGHT_FORMATS",
    "BFloat16Linear",
    "Fp16Linear",
    "Linear",
    "PackedLinear",
    "TorchLinear",
    "format_label",
    "make_linear",
    "resolve_weight_format",
]

_LOG = logging.getLogger(__name__)


class Linear(Protocol):
    """x · weightᵀ + bias for float32 rows."""

    in_features: int
    out_features: int

    @property
    def bias(self) -> torch.Tensor | None:
        """float32 [out_features]."""

    @property
    def product(self) -> Product | None:
        """What multiplies with it, where the matrix is in panels."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[T, in_features] to [T, out_features], both float32."""

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """Adds the product to `residual` [T, out_features] in place."""


class TorchLinear:
    """Weights in float32, multiplied by torch.

    Args:
        weight: float32 [out_features, in_features], kept as it is.
        bias: float32 [out_features].
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.out_features, self.in_features = weight.shape
        self._weight = weight
        self.bias, self.product = bias, None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        return torch.nn.functional.linear(x, self._weight, self.bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        residual.addmm_(x, self._weight.t())
        if self.bias is not None:
            residual.add_(self.bias)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the weight, [N, in_features], for indices int64 [N]: a tied embedding's lookup."""
        return self._weight.index_select(0, indices)


class PackedLinear:
    """Weights in float32 in panels, multiplied by our own kernel (see `runtime.model.cpu_kernels`).

    A row's result has the same bits whatever other rows are in the batch.

    Args:
        weight: float32 [out_features, in_features]; a rearranged copy is kept.
        bias: float32 [out_features].
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        kernel = packed_kernel()
        width = kernel.width
        self.out_features, self.in_features = weight.shape
        self.bias = bias
        num_panels = -(-self.out_features // width)
        panels = huge_empty(num_panels, self.in_features, width)
        whole = self.out_features // width
        panels[:whole] = weight[: whole * width].view(whole, width, self.in_features).transpose(1, 2)
        if whole < num_panels:
            panels[whole].zero_()
            panels[whole, :, : self.out_features - whole * width] = weight[whole * width :].t()
        self.product = Product(kernel, panels, self.in_features)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        return self.product.of(x, self.out_features, self.bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        self.product.add_to(residual, x, self.bias)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Rows of the weight, [N, in_features], for indices int64 [N]: a tied embedding's lookup."""
        width = self.product.kernel.width
        return self.product.panels[indices // width, :, indices % width]


@cache
def packed_kernel() -> PanelKernel:
    """The kernel of float32 panels.

    Raises:
        Exception: whatever numba raises where it does not compile.
    """
    from runtime.model.cpu_kernels import PANEL, compile_gemm
    from runtime.model.lookup_kernels import compile_lookup

    return PanelKernel(compile_gemm(), PANEL, lookup=compile_lookup())


class BFloat16Linear:
    """Weights in bfloat16, activations rounded to it, sums in float32, multiplied by torch.

    Args:
        weight: float32 [out_features, in_features].
        bias: float32 [out_features].
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.out_features, self.in_features = weight.shape
        self._weight = weight.to(torch.bfloat16)
        self.bias, self.product = bias, None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        result = torch.nn.functional.linear(x.to(torch.bfloat16), self._weight).float()
        return result if self.bias is None else result.add_(self.bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        residual.add_(self(x))


class Fp16Linear:
    """Weights in half precision in fbgemm's packed layout; activations and sums in float32.

    Args:
        weight: float32 [out_features, in_features].
        bias: float32 [out_features].
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.out_features, self.in_features = weight.shape
        self.bias, self.product = bias, None
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), bias)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See `Linear`."""
        if x.shape[0] == 0:
            return x.new_empty(0, self.out_features)
        result: torch.Tensor = torch.ops.quantized.linear_dynamic_fp16(x.contiguous(), self._packed)
        return result

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> None:
        """See `Linear`."""
        residual.add_(self(x))


def _dot_linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
    """In 8-bit blocks, or in float32 where rows do not fill their last block."""
    return PackedLinear(weight, bias) if weight.shape[1] % BLOCK_SIZE else DotLinear(in_blocks(weight), bias)


WEIGHT_FORMATS: Mapping[str, Callable[[torch.Tensor, torch.Tensor | None], Linear]] = MappingProxyType(
    {
        "int8": _dot_linear,
        "blocks": PackedLinear,  # of a matrix that is not in blocks
        "float32": PackedLinear,
        "float32-torch": TorchLinear,
        "bfloat16": BFloat16Linear,
        "fp16": Fp16Linear,
    }
)


KEEP_BLOCKS: Mapping[str, Callable[[BlockMatrix, torch.Tensor | None], Linear]] = MappingProxyType(
    {"int8": DotLinear, "blocks": BlockLinear}
)
"""Formats that leave a matrix in the blocks it is stored in."""


def resolve_weight_format(name: str, kinds: Collection[int] = ()) -> str:
    """The weight format to use for `name` and a file with blocks of these kinds (numbers of GGUF's types).

    "auto" is the first of "int8" and "blocks" (if there are any), "float32" and "float32-torch" whose kernels compile;
    what does not is logged.

    Raises:
        ConfigError: no weight format of that name, or its kernel does not compile here.
    """
    if name not in WEIGHT_FORMATS and name != "auto":
        raise ConfigError(f"weight_format={name!r} is not allowed: one of auto, {', '.join(WEIGHT_FORMATS)}")
    candidates = [name] if name != "auto" else ["int8", "blocks", "float32"] if kinds else ["float32"]
    for candidate in candidates:
        try:
            _compile(candidate, kinds)
        except Exception as error:
            if name != "auto":
                raise ConfigError(f"weight_format={name!r}: its kernel does not compile here ({error})") from error
            _LOG.warning("weight_format=auto does not take %s: its kernel does not compile (%s)", candidate, error)
        else:
            return candidate
    return "float32-torch"


def _compile(weight_format: str, kinds: Collection[int]) -> None:
    if weight_format in ("int8", "blocks", "float32"):
        compile_product()
        packed_kernel()
    if weight_format == "blocks":
        for kind in kinds:
            block_kernel(kind)
    if weight_format == "int8":
        for kind in {*kinds, ROUNDED.number}:
            dot_kernel(kind)


def make_linear(weight_format: str, weight: torch.Tensor | BlockMatrix, bias: torch.Tensor | None = None) -> Linear:
    """The matrix in the named format (a resolved one); a caller who drops `weight` leaves no second copy behind."""
    if isinstance(weight, BlockMatrix):
        if weight_format in KEEP_BLOCKS:
            return KEEP_BLOCKS[weight_format](weight, bias)
        weight = torch.from_numpy(weight.dequantize())
    return WEIGHT_FORMATS[weight_format](weight, bias)


def format_label(weight_format: str, linears: Iterable[Linear]) -> str:
    """What a model of these matrices says its weight format is: which kinds of blocks it keeps, if any."""
    kinds = {linear.kind.name for linear in linears if isinstance(linear, BlockLinear | DotLinear)}
    if weight_format not in KEEP_BLOCKS:
        return weight_format
    values = "8-bit rows" if weight_format == "int8" else "float32 values"
    return f"{weight_format} ({', '.join(sorted(kinds))}; {values})" if kinds else "float32"


def huge_empty(*shape: int) -> torch.Tensor:
    """An unwritten float32 tensor on huge pages where the system gives them out on request, as numpy asks for them."""
    return torch.from_numpy(np.empty(shape, dtype=np.float32))
