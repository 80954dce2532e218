"""Turns: sides alternate, the first round does not count, and who fails is reported as failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.suite.catalogue import WORKLOADS
from benchmarks.suite.comparison import Comparison
from benchmarks.suite.generated import generated
from benchmarks.suite.measurement import measure
from benchmarks.suite.size import SIZES
from benchmarks.suite.table import closing, rows
from benchmarks.suite.turns import take_turns

MakeSide = Callable[..., Any]


def _turns(names: str, *sides: Any, repeat: int = 2, **more: Any) -> Comparison:
    chosen = [WORKLOADS[name] for name in names.split()]
    return take_turns(
        chosen, sides, generated(0), SIZES["small"], salt="x", repeat=repeat, timeout=60.0, quiet_seconds=0, **more
    )


def test_sides_take_turns_after_a_round_that_does_not_count(make_side: MakeSide) -> None:
    order: list[str] = []
    sides = [make_side("engine", order=order), make_side("llama", is_ours=False, order=order)]
    comparison = _turns("gsm8k", *sides)
    assert order == ["engine", "llama"] * 3
    assert {side: len(runs) for side, runs in comparison.runs["gsm8k"].items()} == {"engine": 2, "llama": 2}


def test_every_round_has_a_salt_of_its_own_and_all_sides_have_the_same(make_side: MakeSide) -> None:
    sides = [make_side("engine"), make_side("llama", is_ours=False)]
    _turns("documents", *sides)
    begun = [list(dict.fromkeys(call.prompt.split(".")[0] for call in side.mock.calls)) for side in sides]
    assert begun[0] == begun[1] == [f"Document 0 of session x-{salt}" for salt in ("warm", 0, 1)]


def test_a_peer_that_fails_is_reported_and_the_others_go_on(make_side: MakeSide) -> None:
    def fail(prompt: str, params: Any) -> str:
        raise ConnectionError("the peer is gone")

    sides = [make_side("engine"), make_side("broken", is_ours=False, script=fail), make_side("fine", is_ours=False)]
    told: list[str] = []
    comparison = _turns("gsm8k scenes", *sides, on_end=lambda workload, found: told.append(rows(workload, found)))
    assert "the peer is gone" in (comparison.medians("gsm8k")["broken"].error or "")
    assert sides[1].asked == 2  # once for each workload
    assert comparison.ratio("gsm8k", "broken", "engine") is None
    assert comparison.best_ratio("gsm8k", "engine") == comparison.ratio("gsm8k", "fine", "engine")
    assert [table.count("FAILED") for table in told] == [1, 1]
    last = closing(comparison)
    assert "broken / engine: no workload in common" in last
    assert "failed: gsm8k on broken: " in last
    assert "failed: scenes on broken: " in last


def test_a_peer_that_fails_in_a_later_round_has_failed(make_side: MakeSide) -> None:
    calls = 0

    def fail_later(prompt: str, params: Any) -> str:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise ConnectionError("gone")
        return "fine"

    comparison = _turns("gsm8k", make_side("engine"), make_side("weak", is_ours=False, script=fail_later))
    assert [run.error is None for run in comparison.runs["gsm8k"]["weak"]] == [True, False]
    assert comparison.medians("gsm8k")["weak"].error is not None


def test_a_program_that_takes_too_long_has_failed(make_side: MakeSide) -> None:
    side = make_side("slow")
    side.mock.latency = 30.0
    workload = WORKLOADS["characters"]
    run = measure(workload, workload.items(generated(0), SIZES["small"], "x"), side, timeout=0.2)
    assert run.error is not None
    assert "Timeout" in run.error


def test_tokens_are_counted_and_what_was_computed_is_not_cached(make_side: MakeSide) -> None:
    counts = iter((100, 130))
    side = make_side("engine")
    side.computed_tokens = lambda: next(counts)
    workload = WORKLOADS["documents"]
    run = measure(workload, workload.items(generated(0), SIZES["small"], "x"), side, timeout=60.0)
    assert run.generated_tokens == 2 * len(side.mock.calls) == 6  # a word and its end
    assert run.cached_tokens == run.prompt_tokens - 30
