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


def test_the_readme_lists_all_of_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in EXAMPLES if f"(examples/{name}.py)" not in readme] == []


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


def test_the_tool_agent_matches_over_objects_and_feeds_results_back() -> None:
    agent = module("tool_agent")
    script = {
        "call_0": '{"tool": "look", "item": "sugar", "needed": 3}',
        "call_1": '{"tool": "order", "item": "sugar", "amount": 2}',
        "call_2": '{"tool": "answer", "text": "Done."}',
    }
    mock = sg.Mock(script)
    state = agent.main.run("We need 3 bags of sugar.", backend=mock)
    assert state.ret_value == "Done."
    assert state["call_1"] == agent.Order(tool="order", item="sugar", amount=2)
    assert "Result: missing 2, only 1 in stock.\nCall: " in mock.calls[1].prompt
    assert "Result: 2 ordered.\nCall: " in mock.calls[2].prompt
    never = sg.Mock(lambda prompt, params: '{"tool": "look", "item": "eggs", "needed": 1}')
    assert agent.main.run("Eggs?", max_turns=2, backend=never).ret_value is None


def test_retrieval_prefers_rare_words_and_short_passages() -> None:
    best = module("rag").best
    passages = ["the cat sat on the mat", "the dog", "the cat and the dog and the bird and the fish", "nothing here"]
    assert best("Where is the dog?", passages, 2) == ["the dog", passages[2]]
    assert best("bird", passages, 1) == [passages[2]]


def test_retrieval_takes_the_surest_answer_and_its_source() -> None:
    rag = module("rag")
    state = rag.main.run("How long does the ferry take?", backend=sg.Mock({"answer": ["", " 40 minutes", " x"]}))
    assert state.ret_value["answer"] in ("40 minutes", "x")
    assert state.text().endswith(f"Text: {state.ret_value['source']}\nQuestion: How long does the ferry take?\n"
                                 f"Answer: {state.ret_value['answer']}\n")  # fmt: skip


def test_the_vote_goes_to_the_answer_of_most_forks() -> None:
    state = module("self_consistency").main.run(votes=5, backend=sg.Mock({"answer": ["3", "9", "9", "4", "9"]}))
    assert state.ret_value == {"answer": 9, "votes": "3 of 5", "tally": {9: 3, 3: 1, 4: 1}}


def test_map_reduce_reads_every_paragraph_apart(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("One line\nand another.\n\n\nTwo.\n", encoding="utf-8")
    mock = sg.Mock({"title": ' "Both"'})
    state = module("map_reduce").main.run(file, backend=mock)
    assert sorted(call.prompt.splitlines()[-2] for call in mock.calls[:2]) == [
        "Text: One line and another.", "Text: Two.",
    ]  # fmt: skip
    assert state.ret_value == {"title": "Both", "summaries": ["mock.", "mock."]}
    assert "Text:" not in state.text()


async def test_the_streaming_server_sends_what_comes_as_it_comes() -> None:
    server = module("streaming_server")
    sg.set_default_backend(sg.Mock({"answer": ["one two\nthree", "four"]}))
    try:
        async with server.served() as url:
            assert [piece async for piece in server.ask(url, "?")] == ["one", " two", "\nthree"]
            assert [piece async for piece in server.ask(url, "?")] == ["four"]
    finally:
        sg.set_default_backend(None)


def test_the_unit_tests_pass_under_pytest_itself() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/unit_test.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


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


@pytest.mark.model
def test_tool_agent() -> None:
    entry = run("tool_agent")
    calls = [entry["variables"][f"call_{turn}"] for turn in range(3)]
    assert [call["tool"] for call in calls] == ["look", "order", "answer"]
    assert calls[0]["item"] == calls[1]["item"] == "flour"
    assert calls[1]["amount"] == 2
    assert entry["value"] == calls[2]["text"] != ""


@pytest.mark.model
def test_rag() -> None:
    value = run("rag")["value"]
    assert value["answer"] == "Clara Voss"
    assert value["source"].startswith("The lighthouse of Norderhaven was built in 1871 by the engineer Clara Voss.")
    assert run("rag", "--", "How long does the ferry take?")["value"]["answer"] == "40 minutes"


@pytest.mark.model
def test_self_consistency() -> None:
    entry = run("self_consistency")
    assert entry["value"]["answer"] == 9
    assert len(entry["value"]["tally"]) > 1  # some of them are wrong, and are outvoted
    assert entry["usage"]["cached_tokens"] > 0.9 * entry["usage"]["prompt_tokens"]


@pytest.mark.model
def test_map_reduce() -> None:
    value = run("map_reduce")["value"]
    assert len(value["summaries"]) == 4
    assert all("bee" in summary.lower() for summary in value["summaries"])
    assert "Bee" in value["title"]


@pytest.mark.model
def test_skeleton_of_thought() -> None:
    value = run("skeleton_of_thought")["value"]
    assert len(value) == 3
    assert all(len(detail) > 10 for detail in value.values())


@pytest.mark.model
def test_speculative_api() -> None:
    value = run("speculative_api")["value"]
    assert list(value) == ["name", "birthday", "likes"]
    assert all(value.values())


@pytest.mark.model
def test_streaming_server() -> None:
    entry = run("streaming_server")
    assert entry["text"].startswith("POST /ask Why is the sky blue?\n")
    assert "atmosphere" in entry["text"]
    assert entry["value"]["pieces"] > 10


@pytest.mark.model
def test_unit_test() -> None:
    assert run("unit_test")["value"]["team"] == "billing"
