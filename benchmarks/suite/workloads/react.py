"""A recorded ReAct agent: at every turn the model thinks, and what was recorded takes its thought's place."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source, Step, Trajectory
from benchmarks.suite.workload import Items, Workload

__all__ = ["REACT"]

RULES = """Answer a question in turns of Thought, Action and Observation. A thought weighs what is known so far. An
action is one of three: Search[entity] tells the first paragraph about an entity; Lookup[word] tells the next sentence
with a word; Finish[answer] ends the task.
"""


@sg.function
def replay(s, rules: str, question: str, steps: list[Step], tokens: int):
    s += rules + f"Question: {question}\n"
    thoughts = []
    for number, step in enumerate(steps, start=1):
        s += f"Thought {number}:"
        thinking = s.fork(1)
        thinking += sg.gen("thought", tokens)
        thinking.join()
        thoughts += s["thought"]  # no tool is called before the thought that calls it is there
        s += _written(number, step)
    return thoughts


def items(source: Source, size: Size, salt: str) -> Items:
    shown, *asked = source.trajectories[: size.of(8, 2) + 1]
    rules = f"Task {salt}.\n{RULES}\n{_whole(shown)}\n"
    steps, tokens = size.of(5, 2), size.of(24, 6)
    return [
        {"rules": rules, "question": one.question, "steps": list(one.steps[:steps]), "tokens": tokens} for one in asked
    ]


def _written(number: int, step: Step) -> str:
    return f" {step.thought}\nAction {number}: {step.action}\nObservation {number}: {step.observation}\n"


def _whole(one: Trajectory) -> str:
    turns = (f"Thought {number}:{_written(number, step)}" for number, step in enumerate(one.steps, start=1))
    return f"Question: {one.question}\n{''.join(turns)}"


REACT = Workload(name="react", about="ReAct on HotpotQA, replayed, 8 agents", program=replay, items=items)
