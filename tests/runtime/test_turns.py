from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.engine import Engine
from runtime.errors import RequestCancelled
from runtime.sampling.params import SamplingParams
from runtime.turns import MOST_NESTED, Turns


def test_turns_nest_at_first_and_then_wait() -> None:
    order: list[int] = []

    def advance(session: Any) -> None:
        order.append(session)
        if session < 3 * MOST_NESTED:
            turns.give(session + 1)
        order.append(-session)

    turns = Turns(advance)
    turns.give(1)
    assert [one for one in order if one > 0] == list(range(1, 3 * MOST_NESTED + 1))
    assert order[MOST_NESTED] == -MOST_NESTED
    assert order[-1] == -(2 * MOST_NESTED + 1)  # the first of the last round


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_chain_of_forks_deeper_than_the_stack_harms_nobody(
    engine: Engine, assert_nothing_held: Callable[[Engine], None], is_cancelled: bool
) -> None:
    first = engine.open()
    first.append("the")
    first.generate(SamplingParams(max_new_tokens=400 if is_cancelled else 1, temperature=0.0, ignore_eos=True))
    chain: list[Any] = [first]
    for _ in range(1500):
        chain += chain[-1].fork(1)
        chain[-2].flush()
    last = chain[-1].mark()
    chain[-1].flush()
    if is_cancelled:
        first.cancel()
        with pytest.raises(RequestCancelled):
            last.result(20)
    else:
        assert last.result(20) == 2
    for one in chain:
        one.close()
    assert_nothing_held(engine)
