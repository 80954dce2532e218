"""Masked: the first pass over logits of which only some tokens are allowed, without a masked copy of them."""

from __future__ import annotations

import logging
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from grammars.mask import unpack

__all__ = ["CpuMasked", "Masked", "TorchMasked", "best_masked"]

Words = npt.NDArray[np.int32]

_LOG = logging.getLogger(__name__)


class Masked(Protocol):
    """Reads logits under masks: words int32 [R, ceil(V / 32)], token t of a row is bit t % 32 of its word t // 32."""

    name: str

    def peaks(self, logits: torch.Tensor, words: Words) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row's highest allowed logit, float32 [R], and the first token that has it, int64 [R].

        A NaN that is allowed counts as highest. Where nothing above -inf is allowed the value is -inf.
        """

    def lower(
        self, logits: torch.Tensor, words: Words, index: torch.Tensor, peaks: torch.Tensor, out: torch.Tensor
    ) -> None:
        """Writes `logits[index] - peaks[index]` to `out`, -inf for what is not allowed.

        Args:
            logits: float32 [R, V].
            words: the masks of its rows.
            index: int64 [S], which rows.
            peaks: float32 [R].
            out: float32 [S, at least V]; columns from V on stay as they are.
        """


class TorchMasked:
    """Plain torch, on any device: the reference."""

    name = "torch"

    def peaks(self, logits: torch.Tensor, words: Words) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Masked`."""
        found = self._masked(logits, words).max(dim=1)
        return found.values, found.indices

    def lower(
        self, logits: torch.Tensor, words: Words, index: torch.Tensor, peaks: torch.Tensor, out: torch.Tensor
    ) -> None:
        """See `Masked`."""
        rows = self._masked(logits, words)[index]
        torch.sub(rows, peaks[index][:, None], out=out[:, : logits.shape[1]])

    @staticmethod
    def _masked(logits: torch.Tensor, words: Words) -> torch.Tensor:
        allowed = torch.from_numpy(unpack(words, logits.shape[1])).to(logits.device)
        return logits.masked_fill(~allowed, -torch.inf)


class CpuMasked:
    """Our own kernels: one pass over the logits, most of which a sparse mask skips.

    Raises:
        Exception: whatever numba raises where they do not compile.
    """

    name = "cpu"

    def __init__(self) -> None:
        from runtime.sampling.masked_kernels import compile_lower, compile_peaks

        self._peaks = compile_peaks()
        self._lower = compile_lower()

    def peaks(self, logits: torch.Tensor, words: Words) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Masked`."""
        values, places = torch.empty(len(logits)), torch.empty(len(logits), dtype=torch.int64)
        self._peaks(logits.numpy(), words, values.numpy(), places.numpy())
        return values, places

    def lower(
        self, logits: torch.Tensor, words: Words, index: torch.Tensor, peaks: torch.Tensor, out: torch.Tensor
    ) -> None:
        """See `Masked`."""
        self._lower(logits.numpy(), words, index.numpy(), peaks.numpy(), out.numpy())


@cache
def best_masked(device: str) -> Masked:
    """The kernels where the logits are on the CPU and they compile, else plain torch."""
    if device != "cpu":
        return TorchMasked()
    try:
        return CpuMasked()
    except Exception as error:
        _LOG.warning("masks are applied in torch, our kernels do not compile here (%s)", error)
        return TorchMasked()
