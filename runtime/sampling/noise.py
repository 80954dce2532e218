"""Noise: one uniform number per request and step, a pure function of the request's seed and the step's number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Noise"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Noise:
    """Counter-based uniform numbers of several seeds at once.

    Element n of seed s is SplitMix64's output function at mix(s + γ) + (n + 1)·γ. Mixing the seed first keeps the
    streams of neighbouring seeds from being shifts of each other.

    Source: Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (constants: Stafford's
    mix 13).

    Args:
        seeds: any integers, taken modulo 2**64.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._keys = _mix(np.array([seed % 2**64 for seed in seeds], dtype=np.uint64) + _GOLDEN)

    def uniform(self, steps: Sequence[int]) -> npt.NDArray[np.float64]:
        """Numbers in [0, 1) with 53 random bits, one per seed, of step `steps[i]` each."""
        state = self._keys + (np.asarray(steps, dtype=np.uint64) + np.uint64(1)) * _GOLDEN
        return (_mix(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = (state ^ (state >> _SHIFTS[0])) * _FACTORS[0]
    state = (state ^ (state >> _SHIFTS[1])) * _FACTORS[1]
    return state ^ (state >> _SHIFTS[2])
