"""Skeleton of thought: the points one after another, then all of them worked out at once."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["SKELETON"]


@sg.function
def advise(s, rules: str, topic: str, num_tips: int, tokens: int):
    s += f"{rules}\nUSER: Give me {num_tips} tips for {topic}.\nASSISTANT: Here they are, each in a few words:\n"
    for number in range(1, num_tips + 1):
        s += f"{number}." + sg.gen(f"tip_{number}", 8) + "\n"
    tips = [s[f"tip_{number}"] for number in range(1, num_tips + 1)]
    forks = s.fork(num_tips)
    forks += lambda i: f"USER: Explain tip {i + 1} ({tips[i].strip()}).\nASSISTANT:" + sg.gen("detail", tokens)
    forks.join()
    return list(zip(tips, s["detail"], strict=True))


def items(source: Source, size: Size, salt: str) -> Items:
    asked = source.topics[: size.of(8, 2)]
    rules = f"A helpful assistant gives practical advice, first in short and then in detail. Session {salt}."
    most = size.of(9, 2)
    return [
        {"rules": rules, "topic": one.name, "num_tips": min(one.num_tips, most), "tokens": size.of(32, 5)}
        for one in asked
    ]


SKELETON = Workload(name="skeleton", about="skeleton of thought, 8 topics of 5 to 9 tips", program=advise, items=items)
