from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.simulation.recorded import read


def test_requests_are_sorted_by_time_and_share_their_beginnings(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(
        '{"timestamp": 2000, "input_length": 700, "hash_ids": [8, 9], "output_length": 5, "model": "passed over"}\n'
        "\n"
        '{"timestamp": 1000, "input_length": 900, "hash_ids": [8, 7], "output_length": 5}\n',
        encoding="utf-8",
    )
    first, second = read(path)
    assert (first.arrival, second.arrival) == (1.0, 2.0)
    assert first.steps[0].prompt[0] == second.steps[0].prompt[0]
    assert [piece.length for piece in first.steps[0].prompt] == [512, 388]
    assert [piece.length for piece in second.steps[0].prompt] == [512, 188]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[1]", "list where an object is expected"),
        ('{"timestamp": 0, "input_ids": [1]}', "output_length is missing"),
        ('{"input_ids": [1], "output_length": 1}', "timestamp is missing"),
        ('{"timestamp": -1, "input_ids": [1], "output_length": 1}', "timestamp=-1"),
        ('{"timestamp": NaN, "input_ids": [1], "output_length": 1}', "timestamp=nan"),
        ('{"timestamp": "now", "input_ids": [1], "output_length": 1}', "timestamp='now'"),
        ('{"timestamp": 0, "input_ids": [], "output_length": 1}', "input_ids"),
        ('{"timestamp": 0, "input_ids": [1, "a"], "output_length": 1}', "input_ids holds 'a'"),
        ('{"timestamp": 0, "input_ids": [1], "output_length": 0}', "output_length=0"),
        ('{"timestamp": 0, "input_ids": [1], "output_length": true}', "output_length=True"),
        ('{"timestamp": 0, "input_ids": [1], "output_length": 9, "max_tokens": 8}', "max_tokens=8"),
        ('{"timestamp": 0, "input_ids": [1], "output_length": 9, "program": 8}', "program=8"),
        ('{"timestamp": 0, "output_length": 1}', "hash_ids is missing"),
        ('{"timestamp": 0, "hash_ids": [1], "output_length": 1}', "input_length is missing"),
        ('{"timestamp": 0, "input_length": 600, "hash_ids": [1], "output_length": 1}', "input_length=600"),
    ],
)
def test_a_damaged_line_is_refused_with_its_number(tmp_path: Path, line: str, named: str) -> None:
    path = tmp_path / "trace.jsonl"
    good = b'{"timestamp": 0, "input_ids": [1], "output_length": 1}\n'
    path.write_bytes(good + line.encode("latin-1") + b"\n")
    with pytest.raises(ValueError, match=r"trace\.jsonl:2: ") as caught:
        read(path)
    assert named in str(caught.value)


def test_an_empty_file_has_no_requests(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no requests"):
        read(path)
