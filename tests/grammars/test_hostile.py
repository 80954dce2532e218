"""Input meant to do harm: each item ends in time, within memory, as a grammar or as an error of ours."""

from __future__ import annotations

import ast
import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from grammars import GrammarCompiler, GrammarError, GrammarLimit, InvalidSpec, JsonSchema, Regex, Vocabulary

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parent / "hostile.py"
SECONDS = 15
"""For compiling and for sixty masks; most take milliseconds."""
MASK_SECONDS = 1
MEGABYTES = 500
OURS = {"", "GrammarLimit", "GrammarTimeout", "InvalidSpec", "UnsupportedConstraint"}


def names() -> list[str]:
    """The items' names, read without running the program."""
    tree = ast.parse(PROGRAM.read_text("utf-8"))
    (table,) = (
        node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ITEMS"
    )
    assert isinstance(table, ast.Dict)
    return [str(ast.literal_eval(key)) for key in table.keys if key is not None]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, Any]]:
    """What became of each item. One that ends the program takes those behind it along."""
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=280, check=False)
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found, done.stderr
    return found


@pytest.mark.parametrize("name", names())
def test_it_ends_within_limits(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    assert name in outcomes, f"the program ended at or before it, behind {list(outcomes)[-1]}"
    outcome = outcomes[name]
    assert outcome["error"] in OURS, outcome["message"]
    assert "\n" not in outcome["message"]
    assert outcome["seconds"] < SECONDS
    assert outcome["mask"] < MASK_SECONDS
    assert outcome["megabytes"] < MEGABYTES


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("needs itself", "InvalidSpec"),
        ("unsatisfiable", "InvalidSpec"),
        ("unsatisfiable below", "InvalidSpec"),
        ("not of itself", "InvalidSpec"),
        ("gbnf without progress", "InvalidSpec"),
        ("regex (x+x+)+y", ""),
        ("maxLength 10**9", ""),
        ("pattern .{900,1990}", ""),
        ("enum of 10,000", ""),
        ("anyOf of 10,000", ""),
        ("allOf doubling", ""),
        ("300 required, any order", ""),
    ],
)
def test_what_becomes_of_it(name: str, error: str, outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes[name]["error"] == error, outcomes[name]["message"]


def test_a_reference_without_progress_says_so(vocabulary: Vocabulary) -> None:
    with pytest.raises(GrammarError, match=r"\$ref"):
        GrammarCompiler(vocabulary).compile(JsonSchema.of({"$ref": "#"}))


def test_a_failure_comes_again_and_harms_nobody(vocabulary: Vocabulary) -> None:
    compiler = GrammarCompiler(vocabulary)
    bad = JsonSchema.of({"type": "integer", "minimum": 3, "maximum": 2})
    for _ in range(2):
        with pytest.raises(InvalidSpec):
            compiler.compile(bad)
    assert compiler.compile(Regex("a")).matcher().accept(ord("a"))


def test_others_compile_meanwhile(vocabulary: Vocabulary) -> None:
    compiler = GrammarCompiler(vocabulary)
    branches = [{"properties": {f"p{at}": {"type": "integer"}, "kind": {"const": at}}} for at in range(10_000)]
    begun = threading.Event()

    def harm() -> None:
        begun.set()
        with contextlib.suppress(GrammarLimit):
            compiler.compile(JsonSchema.of({"type": "object", "anyOf": branches}))

    thread = threading.Thread(target=harm)
    thread.start()
    begun.wait()
    begin = time.perf_counter()
    assert compiler.compile(Regex("[ab]{3}")).matcher().accept(ord("a"))
    assert time.perf_counter() - begin < 6  # alone it takes the compiler far longer
    thread.join()
