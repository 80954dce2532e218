"""Every workload asks for what its name says, in both sizes, and nothing of one run is warm in the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg
from benchmarks.suite.catalogue import WORKLOADS
from benchmarks.suite.folder import read_folder
from benchmarks.suite.generated import generated
from benchmarks.suite.size import SIZES

CORPUS = Path(__file__).parents[4] / "shared" / "data" / "workloads"
FULL_CALLS = {
    "gsm8k": 64, "tree": 3 * (3 + 9 + 27), "judge": 6 * (6 + 2), "characters": 16, "chat": 8 * 4, "scenes": 24,
    "documents": 2 * 10, "tools": 12 * 4,
}  # fmt: skip


def _calls(name: str, size: str, salt: str = "x", source: Any = None) -> list[sg.MockCall]:
    workload, mock = WORKLOADS[name], sg.Mock()
    items = workload.items(source or generated(0), SIZES[size], salt)
    states = workload.program.run_batch(items, backend=mock, temperature=0, ignore_eos=True)
    assert len(states) == len(items)
    workload.remark(list(states))
    return mock.calls


def test_there_are_ten() -> None:
    assert len(WORKLOADS) == 10
    assert all(name == workload.name for name, workload in WORKLOADS.items())


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_runs_in_both_sizes(name: str) -> None:
    small, full = _calls(name, "small"), _calls(name, "full")
    assert 0 < len(small) <= len(full)
    assert len(full) == FULL_CALLS.get(name, len(full))


@pytest.mark.parametrize("name", WORKLOADS)
def test_gens_of_fixed_length_go_on_behind_an_end_token_and_constrained_ones_do_not(name: str) -> None:
    for call in _calls(name, "small"):
        if call.kind == "gen":
            assert call.params.ignore_eos == (call.params.constraint is None)
            assert (call.params.temperature == 0) == (name != "tree")
        else:
            assert not WORKLOADS[name].has_fixed_length
    constrained = any(call.params.constraint is not None for call in _calls(name, "small"))
    assert constrained == (not WORKLOADS[name].has_fixed_length)


@pytest.mark.parametrize("name", WORKLOADS)
def test_another_salt_shares_nothing_worth_caching(name: str) -> None:
    mine, others = (_calls(name, "full", salt)[0].prompt for salt in ("2401", "9302"))
    shared = next(place for place, (a, b) in enumerate(zip(mine, others, strict=False)) if a != b)
    assert shared < 700, f"{shared} characters are the same"


def test_a_tree_goes_three_levels_down() -> None:
    deepest = max((call.prompt for call in _calls("tree", "small")), key=len)
    assert all(f"\n{level} " in deepest for level in ("Plan", "Working", "Check"))


def test_a_replayed_agent_thinks_and_goes_on_with_what_was_recorded() -> None:
    source = generated(0)
    last = max((call.prompt for call in _calls("react", "small", source=source)), key=len)
    assert last.endswith("Thought 2:")
    recorded = [f"Thought 1: {one.steps[0].thought}\n" for one in source.trajectories[1:3]]
    assert sum(text in last.rpartition("Question: ")[2] for text in recorded) == 1
    assert "mock" not in last


def test_a_replayed_agent_waits_for_each_thought() -> None:
    workload = WORKLOADS["react"]
    item = workload.items(generated(0), SIZES["full"], "x")[0]
    mock = sg.Mock([f"thought {number}" for number in range(len(item["steps"]))], latency=0.05)
    state = workload.program.run(**item, backend=mock)
    assert state.ret_value == [f"thought {number}" for number in range(len(item["steps"]))]
    assert [call.prompt.count("Observation") for call in mock.calls] == sorted(
        call.prompt.count("Observation") for call in mock.calls
    )


def test_a_tool_tells_what_was_asked_of_it() -> None:
    workload = WORKLOADS["tools"]
    items = workload.items(generated(0), SIZES["small"], "x")[:1]
    call = '{"tool": "look", "item": "milk", "amount": 3}'
    mock = sg.Mock({"call_0": call})
    (state,) = workload.program.run_batch(items, backend=mock)
    assert f"there are {items[0]['stock']['milk']} milk, 3 were asked for" in state.text()
    assert workload.remark([state]) == "1/1 calls valid"


def test_what_breaks_the_schema_is_not_counted_as_valid() -> None:
    workload = WORKLOADS["characters"]

    class Said:
        def __init__(self, text: str) -> None:
            self._text = text

        def text_of(self, name: str) -> str:
            return self._text

    states = workload.program.run_batch(workload.items(generated(0), SIZES["small"], "x"), backend=sg.Mock())
    assert workload.remark([*states, Said('{"name": "cut'), Said("{}")]) == "2/4 valid"


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="../shared/data is not there")
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_runs_on_published_data(name: str) -> None:
    assert len(_calls(name, "full", source=read_folder(CORPUS))) >= 16
