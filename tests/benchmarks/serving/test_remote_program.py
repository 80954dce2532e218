"""The program that is compared has every kind of call in it."""

from __future__ import annotations

import re

import sgdsl as sg
from benchmarks.serving.remote_program import trip


def test_the_program_asks_for_every_kind_of_call() -> None:
    value = trip.run("Ships.", backend=sg.Mock()).ret_value
    assert isinstance(value, list)
    *texts, price, choice = value
    assert len(texts) == 5
    assert re.fullmatch(r" [1-9]\d{2,3} euros", price)
    assert choice in (" to eat", " to see", " to go home")
