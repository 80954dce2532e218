from __future__ import annotations

import math
import random

import pytest

from runtime.choosing import METHODS, Choosing, draw
from runtime.errors import InvalidParameter
from sgdsl import choices

ROWS = [[-1.0, -3.0], [-1.0, -0.5, -0.5], [-4.0]]


def test_the_methods_of_the_language_that_need_only_scores_are_those_a_server_knows() -> None:
    known = {
        name: method
        for name in choices.__all__
        if isinstance(method := getattr(choices, name), choices.ChoicesMethod) and method.needs != "generate"
    }
    assert {name: method.scores for name, method in known.items()} == dict(METHODS)
    for name, method in known.items():
        assert Choosing(name)(ROWS) == method.choose(ROWS)


def test_a_seed_draws_the_same_choice_wherever_it_is_drawn() -> None:
    for seed in range(20):
        drawn = draw(METHODS["joint_likelihood"](ROWS), 2.0, random.Random(seed))
        assert Choosing("joint_likelihood", 2.0, seed)(ROWS) == drawn
    assert len({Choosing("joint_likelihood", 5.0, seed)(ROWS) for seed in range(40)}) == 3


def test_what_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"choices_method='mine'.*joint_likelihood"):
        Choosing("mine")
    for temperature in (-1.0, math.inf, math.nan):
        with pytest.raises(InvalidParameter, match="temperature"):
            Choosing("joint_likelihood", temperature)
