from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.estimate import LengthEstimate


def _request(num_tokens: int, max_length: int) -> Request:
    sequence = PrefixCache(2, 1).open()
    return Request(tokens=[0] * num_tokens, sequence=sequence, prompt_len=1, max_length=max_length)


def test_slots_is_the_ratio_of_what_remains() -> None:
    estimate = LengthEstimate(start=0.5)
    assert estimate.slots([_request(10, 30), _request(5, 25)]) == 20
    assert estimate.slots([]) == 0


def test_it_decays_to_its_floor_and_no_further() -> None:
    estimate = LengthEstimate(start=0.5, floor=0.25, decay=0.1)
    ratios = []
    for _ in range(5):
        estimate.stepped()
        ratios.append(estimate.ratio)
    assert ratios == pytest.approx([0.4, 0.3, 0.25, 0.25, 0.25])


def test_a_retraction_raises_it_and_idling_resets_it() -> None:
    estimate = LengthEstimate(start=0.5)
    estimate.retracted()
    assert 0.5 < estimate.ratio <= 1.0
    estimate.reset()
    assert estimate.ratio == 0.5


@given(st.lists(st.sampled_from(["stepped", "retracted", "reset"]), max_size=200))
def test_it_stays_between_its_floor_and_one(events: list[str]) -> None:
    estimate = LengthEstimate(start=0.3, floor=0.1, decay=0.05)
    for event in events:
        getattr(estimate, event)()
        assert 0.1 <= estimate.ratio <= 1.0
