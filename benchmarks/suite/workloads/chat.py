"""Chats: turns that each continue all of what was said."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["CHAT"]


@sg.function
def talk(s, rules: str, questions: list[str], tokens: int):
    s += sg.system(rules)
    for number, question in enumerate(questions):
        s += sg.user(question)
        s += sg.assistant(sg.gen(f"answer_{number}", tokens))
        s.sync()


def items(source: Source, size: Size, salt: str) -> Items:
    chats, turns = size.of(8, 2), size.of(4, 2)
    asked = [one.question for one in source.problems[200 : 200 + chats * turns]]
    rules = f"You are a patient teacher. Session {salt}."
    return [
        {"rules": rules, "questions": asked[start : start + turns], "tokens": size.of(48, 5)}
        for start in range(0, len(asked), turns)
    ]


CHAT = Workload(name="chat", about="8 chats of 4 turns", program=talk, items=items, is_chat=True)
