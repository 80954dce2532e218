"""Few-shot word problems: many independent requests behind one long prefix."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source, Sum
from benchmarks.suite.workload import Items, Workload

__all__ = ["GSM8K"]


@sg.function
def solve(s, examples: str, question: str, tokens: int):
    s += examples
    s += f"Question: {question}\nAnswer:" + sg.gen("answer", tokens)


def items(source: Source, size: Size, salt: str) -> Items:
    shown = "\n\n".join(map(_solved, source.examples[: size.of(5, 1)]))
    examples = f"Exercises, {salt}.\n\n{shown}\n\n"
    asked = source.problems[: size.of(64, 3)]
    return [{"examples": examples, "question": one.question, "tokens": size.of(48, 6)} for one in asked]


def _solved(one: Sum) -> str:
    return f"Question: {one.question}\nAnswer: {one.answer}"


GSM8K = Workload(name="gsm8k", about="5-shot word problems, a batch of 64", program=solve, items=items)
