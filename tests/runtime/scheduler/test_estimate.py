from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.hint import Hint
from runtime.memory.cache import PrefixCache
from runtime.program_run import ProgramRun
from runtime.request import Request
from runtime.scheduler.estimate import MOST_SITES, LengthEstimate


def _request(num_tokens: int, max_length: int) -> Request:
    sequence = PrefixCache(2, 1).open()
    return Request(tokens=[0] * num_tokens, sequence=sequence, prompt_len=1, max_length=max_length)


def test_slots_is_the_ratio_of_what_remains() -> None:
    estimate = LengthEstimate(start=0.5)
    assert estimate.slots([_request(10, 30), _request(5, 25)]) == 20
    assert estimate.slots([]) == 0


def test_slots_are_in_pages_beyond_those_that_the_tokens_take_anyway() -> None:
    estimate = LengthEstimate(start=1.0, page_size=16)
    cache = PrefixCache(8, 16)

    def request(num_tokens: int, max_length: int, num_pages: int = 0) -> Request:
        made = _request(num_tokens, max_length)
        made.sequence = cache.open()
        assert cache.reserve(made.sequence, 16 * num_pages)
        return made

    assert estimate.slots([request(8, 16)]) == 0
    assert estimate.slots([request(8, 17)]) == 16
    assert estimate.slots([request(8, 32), request(16, 33)]) == 16 + 32
    assert estimate.slots([request(8, 40, num_pages=2)]) == 16
    assert estimate.slots([request(8, 20, num_pages=2)]) == 0


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


def _of_program(program: str, num_output: int = 0, max_new: int = 100, following: int | None = None) -> Request:
    request = _request(1 + num_output, 1 + max_new)
    request.run = ProgramRun(program)
    request.hint = None if following is None else Hint(remaining_calls=following)
    return request


def test_it_learns_how_long_the_outputs_of_a_call_become() -> None:
    estimate = LengthEstimate(start=0.5)
    for length in (10, 12, 8, 10, 10):
        estimate.learn(_of_program("agent", length))
    fresh, other = _of_program("agent"), _of_program("chat")
    estimate.expect(fresh)
    estimate.expect(other)
    assert 10 <= estimate.slots([fresh]) <= 13
    assert estimate.slots([other]) == 50


def test_calls_of_one_program_are_told_apart_by_what_follows_and_what_they_may_write() -> None:
    estimate = LengthEstimate(start=0.5)
    for _ in range(8):
        estimate.learn(_of_program("p", 5, following=1))
        estimate.learn(_of_program("p", 60, following=0))
        estimate.learn(_of_program("p", 3, max_new=20, following=0))
    requests = [_of_program("p", following=1), _of_program("p", following=0), _of_program("p", 0, 20, 0)]
    for request in requests:
        estimate.expect(request)
    assert [estimate.slots([request]) for request in requests] == [5, 60, 3]


def test_calls_with_a_name_are_told_apart_by_it_wherever_they_stand() -> None:
    def named(name: str, num_output: int = 0, following: int = 3) -> Request:
        request = _request(1 + num_output, 101)
        request.run, request.hint = ProgramRun("p"), Hint(name=name, remaining_calls=following)
        return request

    estimate = LengthEstimate(start=0.5)
    for following in range(4):
        estimate.learn(named("answer", 7, following))
        estimate.learn(named("thought", 40, following))
        estimate.learn(named("", 90, following))
    fresh = [named("answer", following=9), named("thought", following=9), named("", following=9)]
    for request in fresh:
        estimate.expect(request)
    assert [estimate.slots([request]) for request in fresh] == [7, 40, 50]


def test_a_request_beyond_what_was_expected_falls_back_to_the_ratio_and_none_gets_more_than_it_may_write() -> None:
    estimate = LengthEstimate(start=0.5)
    for _ in range(4):
        estimate.learn(_of_program("p", 90))
    request = _of_program("p")
    estimate.expect(request)
    request.tokens.extend([0] * 95)
    assert estimate.slots([request]) == 2
    request.expected_output = 1000.0
    assert estimate.slots([request]) == 5


def test_a_few_outputs_and_programs_without_a_name_teach_nothing() -> None:
    estimate = LengthEstimate(start=0.5)
    for _ in range(3):
        estimate.learn(_of_program("p", 5))
    for _ in range(9):
        estimate.learn(_of_program("", 5))
    for program in ("p", ""):
        request = _of_program(program)
        estimate.expect(request)
        assert estimate.slots([request]) == 50


def test_what_it_remembers_is_bounded() -> None:
    estimate = LengthEstimate()
    for number in range(MOST_SITES + 10):
        for _ in range(4):
            estimate.learn(_of_program(f"p{number}", 5))
    first, last = _of_program("p0"), _of_program(f"p{MOST_SITES}")
    estimate.expect(first)
    estimate.expect(last)
    assert (first.expected_output, last.expected_output) == (None, 5.0)
