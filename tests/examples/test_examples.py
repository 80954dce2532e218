"""Every example, through `sgdsl run`: on the mock as a dry run, and on the real model with what it should come to."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

import sgdsl as sg

ROOT = Path(sg.__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


def run(name: str, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "sgdsl.cli", "run", f"examples/{name}.py", "--json", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_there_are_six() -> None:
    assert EXAMPLES == ["agent", "batch", "extraction", "judge", "quickstart", "tree_of_thought"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_says_how_to_run_it(name: str) -> None:
    documentation = module(name).__doc__
    assert documentation is not None
    assert f"sgdsl run examples/{name}.py" in documentation


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "extraction"])
def test_it_runs_dry(name: str) -> None:
    assert run(name, "--backend", "mock")["value"] is not None


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1230 + 1094", "2324"),
        (" 3357 - 1345\n", "2012"),
        ("2 * (3 + 4)", "14"),
        ("1 / 4", "0.25"),
        ("1234567 + 1", "1234568"),
        ("1 / 0", "That is not a sum I can work out."),
        ("__import__('os').getcwd()", "That is not a sum I can work out."),
        ("2 ** 9999999", "That is not a sum I can work out."),
        ("1 +", "That is not a sum I can work out."),
    ],
)
def test_the_agents_calculator_calculates_and_executes_nothing(expression: str, result: str) -> None:
    assert module("agent").calculate(expression) == result


def test_the_agents_search_finds_the_document_with_most_words() -> None:
    search = module("agent").search
    assert search(" Elbe") == "The Elbe is 1094 kilometres long."
    assert search("mont blanc") == "Mont Blanc is 4806 metres high."
    assert search("zebra") == "Nothing found."


def test_the_agent_feeds_observations_back_and_finishes() -> None:
    script = {
        "action_0": [[-9.0], [-1.0], [-9.0]],
        "action_1": [[-9.0], [-9.0], [-1.0]],
        "input_0": " 2 + 3\n",
        "answer": " 5",
    }
    state = module("agent").main.run("What is 2 + 3?", backend=sg.Mock(script))
    assert state.ret_value == "5"
    assert "Action: calculate\nInput: 2 + 3\nResult: 5\nThought:" in state.text()


@pytest.mark.model
def test_quickstart() -> None:
    entry = run("quickstart")
    assert "scattering" in entry["variables"]["answer"]
    assert entry["value"] == entry["variables"]["subject"] == "science"
    assert [message["role"] for message in entry["messages"]] == ["system", "user", "assistant", "user", "assistant"]


@pytest.mark.model
def test_extraction() -> None:
    entry = run("extraction")
    jsonschema.validate(json.loads(entry["variables"]["book"]), module("extraction").BOOK_SCHEMA)
    assert entry["value"]["book"] == {"title": "Frankenstein", "author": "Mary Shelley", "year": 1818}
    assert entry["variables"]["recipe"]["minutes"] == 20
    assert set(entry["value"]["recipe"]["ingredients"]) >= {"flour", "eggs", "milk"}


@pytest.mark.model
def test_agent() -> None:
    entry = run("agent")
    own = entry["text"].partition("Question: How long are the Rhine and the Elbe together?")[2]
    assert own.count("Action: search") == 2
    assert "Input: 1230 + 1094\nResult: 2324\n" in own
    assert entry["value"] == "2324"
    assert entry["usage"]["cached_tokens"] > 0.8 * entry["usage"]["prompt_tokens"]


@pytest.mark.model
def test_tree_of_thought() -> None:
    entry = run("tree_of_thought")
    scores = [float(path.split()[0]) for path in entry["value"]]
    assert len(scores) == 6
    assert scores == sorted(scores, reverse=True)
    best = entry["value"][0].split(" ", 1)[1]
    assert entry["text"].endswith(f"Gift: {best.replace(': ', chr(10) + 'Reason: ')}.")
    assert "ball" in best


@pytest.mark.model
def test_judge() -> None:
    entry = run("judge")
    grades = module("judge").GRADES
    assert len(entry["variables"]["grade"]) == len(entry["variables"]["remark"]) == 6
    assert set(entry["variables"]["grade"]) <= set(grades)
    assert entry["value"]["average"] == round(sum(grades[grade] for grade in entry["variables"]["grade"]) / 6, 2)
    assert entry["value"]["verdict"] in ("pass", "fail")
    assert all(len(remark) > 10 for remark in entry["value"]["remarks"].values())


@pytest.mark.model
def test_batch() -> None:
    entry = run("batch")
    assert entry["value"]["total"] == 12
    assert entry["value"]["right"] >= 10
    assert entry["value"]["cached"] > 0.7
    assert entry["usage"]["selects"] == 12
