"""Keys turned on against complex numbers in double precision, under every way of scaling frequencies."""

from __future__ import annotations

import pytest
import torch

from runtime.model.config import RopeScaling
from runtime.model.layers import Rotary
from runtime.model.loader import tiny_config
from runtime.model.rotation import rotated

SCALINGS = [
    None,
    RopeScaling(kind="linear", factor=4.0),
    RopeScaling(kind="llama3", factor=8.0, original_max_position_embeddings=64),
]


def turned(keys: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """The oracle: numbers i and i + half of a key are one complex number, turned by its angle [T, half]."""
    first, second = keys.double().chunk(2, dim=-1)
    spun = torch.complex(first, second) * torch.polar(torch.ones_like(angles), angles)[None, :, None]
    return torch.cat((spun.real, spun.imag), dim=-1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("scaling", SCALINGS, ids=["plain", "linear", "llama3"])
@pytest.mark.parametrize("distance", [0, 7, -5, 3000])
def test_keys_are_those_of_the_other_position(
    dtype: torch.dtype, tolerance: float, scaling: RopeScaling | None, distance: int
) -> None:
    config = tiny_config(vocab_size=64, rope_scaling=scaling)
    frequencies = torch.tensor(config.rope_frequencies(), dtype=torch.float32)
    old = torch.arange(5, 15)
    keys = torch.randn(2, 10, 3, config.head_dim, generator=torch.Generator().manual_seed(1)).to(dtype)
    # angles as the model's own tables have them: rounded to float32 at either position
    angles = [torch.outer(places.float(), frequencies).double() for places in (old, old + distance)]
    found = rotated(keys, *Rotary(config).between(old, old + distance))
    assert found.dtype is dtype
    assert (found.double() - turned(keys, angles[1] - angles[0])).abs().max() < tolerance * keys.abs().max()


def test_turning_on_in_two_goes_is_turning_on_in_one() -> None:
    config = tiny_config(vocab_size=64)
    rotary, places = Rotary(config), torch.arange(4)
    keys = torch.randn(1, 4, 2, config.head_dim)
    once = rotated(keys, *rotary.between(places, places + 9))
    twice = rotated(rotated(keys, *rotary.between(places, places + 4)), *rotary.between(places + 4, places + 9))
    assert torch.allclose(once, twice, atol=1e-5)
