from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from sgdsl.record.history import History
from sgdsl.record.perfetto import perfetto


def of(trace: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


def test_the_trace_is_json_of_known_events(history: History) -> None:
    trace = json.loads(json.dumps(perfetto(history), allow_nan=False))
    assert {event["ph"] for event in trace["traceEvents"]} == {"M", "X", "s", "f"}
    for event in of(trace, "X"):
        assert {"name", "ts", "dur", "pid", "tid", "args"} <= set(event)
        assert event["dur"] >= 0
    names = [event["args"]["name"] for event in of(trace, "M") if event["name"] == "process_name"]
    assert names == ["everything #1", "grade #2"]


def test_slices_of_a_track_nest(history: History) -> None:
    tracks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for event in of(perfetto(history), "X"):
        tracks.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
    assert len(tracks) == 4
    for slices in tracks.values():
        whole, *inner = slices
        assert all(whole[0] <= begin <= end <= whole[1] for begin, end in inner)
        assert all(before[1] <= after[0] for before, after in pairwise(inner))


def test_arrows_come_in_pairs_and_go_forward(history: History) -> None:
    trace = perfetto(history)
    starts, ends = ({event["id"]: event for event in of(trace, phase)} for phase in ("s", "f"))
    assert set(starts) == set(ends)
    assert len(starts) == 4
    assert all(starts[arrow]["ts"] <= ends[arrow]["ts"] for arrow in starts)
    assert {event["cat"] for event in starts.values()} == {"fork", "join"}


def test_a_gen_says_what_it_cost(history: History) -> None:
    event = next(event for event in of(perfetto(history), "X") if event["name"] == "gen reason")
    assert event["args"]["text"] == "he paid twice"
    assert event["args"]["generated_tokens"] == 4
    assert event["args"]["prompt_tokens"] > event["args"]["cached_tokens"] == 0
