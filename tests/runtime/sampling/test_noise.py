from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.sampling.noise import Noise

MASK = 2**64 - 1


def plain(seed: int, step: int) -> float:
    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    key = mix((seed + 0x9E3779B97F4A7C15) & MASK)
    return (mix((key + (step + 1) * 0x9E3779B97F4A7C15) & MASK) >> 11) / 2**53


def test_the_first_output_is_splitmix64s():
    # the reference generator seeded with 0 begins 0xE220A8397B1DCDAF, which here is seed 0's mixed key
    first = Noise([0]).uniform([0])[0]
    key = 0xE220A8397B1DCDAF
    z = (key + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    assert first == ((z ^ (z >> 31)) >> 11) / 2**53


@given(st.lists(st.tuples(st.integers(-(2**70), 2**70), st.integers(0, 2**31)), min_size=1, max_size=8))
def test_every_element_is_what_plain_integers_give(pairs):
    got = Noise([seed for seed, _ in pairs]).uniform([step for _, step in pairs])
    assert got.tolist() == [plain(seed % 2**64, step) for seed, step in pairs]


def test_neighbouring_seeds_and_steps_are_uniform_and_uncorrelated():
    num = 20_000
    steps = Noise([7] * num).uniform(range(num))
    seeds = Noise(range(num)).uniform([3] * num)
    for values in (steps, seeds):
        counts = np.bincount((values * 64).astype(int), minlength=64)
        chi_square = ((counts - num / 64) ** 2 / (num / 64)).sum()
        assert chi_square < 120  # 63 degrees of freedom: mean 63, p(> 120) below 1e-5
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03
        assert values.min() >= 0.0
        assert values.max() < 1.0
