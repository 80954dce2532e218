from __future__ import annotations

import itertools
import random

import pytest

from grammars.json.matching import can_match


@pytest.mark.parametrize("seed", range(100))
def test_against_every_choice(seed: int) -> None:
    rng = random.Random(seed)
    choices = [set(rng.choices(range(5), k=rng.randint(0, 3))) for _ in range(rng.randint(0, 4))]
    taken = set(rng.choices(range(5), k=rng.randint(0, 2)))
    wanted = any(len(set(one)) == len(one) and taken.isdisjoint(one) for one in itertools.product(*choices))
    assert can_match(choices, taken) is wanted
