"""Jobs: what the threads of a team are told, as numpy records that kernels read at an address."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["job_type"]


def job_type(whole: Sequence[str], fractions: Sequence[str] = ()) -> np.dtype[np.void]:
    """A record of int64 values (counts and addresses), and of float32 values after them."""
    fields = [(name, np.int64) for name in whole] + [(name, np.float32) for name in fractions]
    return np.dtype(fields, align=True)
