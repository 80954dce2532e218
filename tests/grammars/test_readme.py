"""The table in grammars/README.md names the cases that are tested, all of them."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_is_a_case_and_every_case_a_row() -> None:
    lines = (ROOT / "grammars" / "README.md").read_text("utf-8").splitlines()
    table = lines[lines.index("| case | sgdsl | outlines | llguidance | xgrammar |") + 2 :]
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1] for line in table}
    cases = (Path(__file__).parent / "cases.jsonl").read_text("utf-8").splitlines()
    assert list(rows) == [json.loads(line)["name"] for line in cases]
    assert set(rows.values()) == {"yes"}
