from __future__ import annotations

from typing import Any

import pytest

from runtime.timings import Tally


def test_a_tally_counts_up_to_and_with_its_bounds() -> None:
    tally = Tally((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        tally.add(seconds)
    assert tally.table() == {"bounds": [0.1, 1.0], "counts": [2, 1, 1], "seconds": pytest.approx(7.65)}


def test_an_engine_measures_every_generation(engine: Any) -> None:
    before = engine.stats()
    engine.generate(["abc", "xyz"], {"max_new_tokens": 5, "temperature": 0, "ignore_eos": True})
    after = engine.stats()

    def more(name: str) -> int:
        return sum(after["timings"][name]["counts"]) - sum(before["timings"][name]["counts"])

    assert more("queue") == more("first_token") == more("end_to_end") == 2
    assert more("inter_token") == 2 * 4
    first, whole = (after["timings"][name]["seconds"] for name in ("first_token", "end_to_end"))
    assert 0 < first < whole


def test_cancelled_requests_are_counted_apart(engine: Any) -> None:
    before = engine.stats()
    with engine.open() as session:
        session.append("abc")
        handle = session.generate()
        session.cancel()
        with pytest.raises(Exception, match="cancelled"):
            handle.result(30)
    after = engine.stats()
    failed = after["failed_requests"] - before["failed_requests"]
    assert after["cancelled_requests"] - before["cancelled_requests"] == failed <= 1
