"""Tree of thought: every thought has three others below it, three levels deep, all of a level at once."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["TREE"]

BRANCHES = 3
LEVELS = ("Plan", "Working", "Check")
ASKED = "Think of different ways to solve the problem. First plan, then work the plan out, then check what came of it."


@sg.function
def think(s, rules: str, question: str, tokens: int):
    s += f"{rules}\nProblem: {question}"
    line = [s]
    for level in LEVELS:
        groups = [state.fork(BRANCHES) for state in line]
        for group in groups:
            group += lambda i, level=level: f"\n{level} {i + 1}:" + sg.gen(level, tokens, temperature=0.7, seed=i)
        line = [branch for group in groups for branch in group]
    return [branch.text() for branch in line]


def items(source: Source, size: Size, salt: str) -> Items:
    asked = source.problems[100 : 100 + size.of(3, 1)]
    rules = f"Session {salt}. {ASKED}"
    return [{"rules": rules, "question": one.question, "tokens": size.of(24, 4)} for one in asked]


TREE = Workload(name="tree", about="tree of thought, branch 3, depth 3, 3 problems", program=think, items=items)
