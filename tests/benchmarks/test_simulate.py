"""The simulator from its command: small traces, the same figures for the same seed, traces from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulate import CHOICES, main

Capture = pytest.CaptureFixture[str]


def _figures(capsys: Capture, *arguments: str) -> dict[str, Any]:
    main([*arguments, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _without_times(report: dict[str, Any]) -> dict[str, Any]:
    for row in report["policies"].values():
        del row["cpu_seconds"]
    return report


def test_a_small_trace_gives_every_policys_figures(capsys: Capture) -> None:
    found = _figures(capsys, "--requests", "200", "--seed", "3", "--rate", "0.15")
    assert set(found["policies"]) == set(CHOICES)
    assert found["pool_tokens"] == int(found["trie_tokens"] * 0.25)
    assert found["capacity"] is None
    for row in found["policies"].values():
        assert row["requests"] == found["requests"] >= 200
        assert row["programs"] == found["programs"]
        assert 0.3 < row["hit_rate"] <= row["hit_rate_optimal"] < 1.0
        assert 0.0 < row["mean_completion"] <= row["p99_completion"] <= row["max_completion"]
        assert row["evictions"] > 0
        assert 0.0 < row["mean_completion_without_delays"] < row["mean_completion"]
        assert 0.0 < row["utilization"] <= 1.0


def test_the_same_seed_gives_the_same_figures_and_another_one_others(capsys: Capture) -> None:
    arguments = ("--requests", "60", "--rate", "0.1", "--policies", "program", "--seed")
    first, again, other = (_without_times(_figures(capsys, *arguments, seed)) for seed in ("1", "1", "2"))
    assert first == again
    assert first["policies"] != other["policies"]


def test_programs_arrive_at_nine_tenths_of_what_fcfs_sustains(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.simulation.capacity.SAMPLE", 20)
    found = _figures(capsys, "--requests", "60", "--pool-tokens", "40000", "--policies", "lru+fcfs")
    assert 0.05 < found["capacity"] < 0.5
    assert found["programs_per_second"] == pytest.approx(0.9 * found["capacity"])


def test_a_session_under_program_has_what_plain_requests_lose(capsys: Capture) -> None:
    found = _figures(capsys, "--requests", "300", "--rate", "0.15", "--policies", "lru+fcfs,program", "--seed", "1")
    plain, program = (row["hit_rate"] for row in found["policies"].values())
    assert plain < program


@pytest.mark.parametrize("trace", ["multi-turn", "documents"])
def test_other_traces_have_one_kind_of_program(capsys: Capture, trace: str) -> None:
    found = _figures(capsys, "--trace", trace, "--requests", "80", "--rate", "0.05", "--policies", "program")
    row = found["policies"]["program"]
    kind = {"multi-turn": "chat", "documents": "document"}[trace]
    assert set(row["completion_by_kind"]) == {kind}
    assert row["requests"] == found["requests"] >= 80


def test_the_table_has_a_row_for_each_policy(capsys: Capture) -> None:
    main(["--requests", "30", "--rate", "0.1", "--pool-tokens", "20000"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(CHOICES)


def test_a_recorded_trace_is_replayed_at_its_own_times(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    lines = [
        {"timestamp": 0, "input_length": 600, "hash_ids": [1, 2], "output_length": 4, "program": "ask"},
        {"timestamp": 60_000, "input_length": 1000, "hash_ids": [1, 3], "output_length": 4, "max_tokens": 9},
        {"timestamp": 120_000, "input_ids": list(range(100)), "output_length": 2},
        {"timestamp": 180_000, "input_ids": [*range(90), 7], "output_length": 2},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    found = _figures(capsys, "--trace", str(path), "--pool-tokens", "4000", "--policies", "lru+fcfs")
    row = found["policies"]["lru+fcfs"]
    assert found["trie_tokens"] == 600 + 4 + 488 + 4 + 100 + 2 + 11 + 2
    assert row["hit_rate"] == pytest.approx((512 + 80) / 1791)
    assert row["hit_rate_optimal"] == pytest.approx((512 + 80) / 1791)
    assert row["waiting"]["max"] == 0.0
    assert set(row["completion_by_kind"]) == {"ask", "request"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--requests", "0"),
        ("--pool-fraction", "0"),
        ("--rate", "-1"),
        ("--policies", "best"),
        ("--policies", "lru+fcfs@nobody"),
        ("--policies", "oldest+fcfs"),
        ("--trace", "/none"),
        ("--pool-tokens", "2000"),
    ],
)
def test_what_cannot_be_simulated_is_refused(capsys: Capture, arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert arguments[1].split("@")[-1].split("+")[0] in capsys.readouterr().err


def test_a_share_too_small_for_one_request_is_raised_and_a_pool_too_small_refused(capsys: Capture) -> None:
    found = _figures(capsys, "--requests", "30", "--rate", "0.1", "--pool-fraction", "0.001", "--policies", "program")
    assert found["policies"]["program"]["requests"] == found["requests"]
    with pytest.raises(SystemExit):
        main(["--requests", "30", "--pool-tokens", str(found["pool_tokens"] - 1)])
    assert f"give {found['pool_tokens']} or more" in capsys.readouterr().err
