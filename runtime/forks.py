"""What a child that is forked off a process with an engine needs, so that it may have an engine of its own."""

from __future__ import annotations

import os
from functools import cache

import torch

__all__ = ["allow_forks"]


@cache
def allow_forks() -> None:
    """Has torch compute in one thread in children: their OpenMP would wait for threads that only the parent has."""
    os.register_at_fork(after_in_child=_compute_alone)


def _compute_alone() -> None:
    torch.set_num_threads(1)
