"""A judge: six aspects of an article at once, then a summary of what was found."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["JUDGE"]

ASPECTS = (
    ("clarity", "Is it easy to follow, and does it say what it means?"),
    ("originality", "Does it say something that others have not said?"),
    ("evidence", "Does it support its claims with facts?"),
    ("structure", "Do its parts follow from each other?"),
    ("style", "Is its language fit for its readers?"),
    ("impact", "Does it stay in mind?"),
)


@sg.function
def judge(s, rules: str, article: str, tokens: int):
    s += f"{rules}\n\nARTICLE:\n{article}\n\n"
    forks = s.fork(len(ASPECTS))
    forks += lambda i: f"Judge its {ASPECTS[i][0]}. {ASPECTS[i][1]}\nJudgement:" + sg.gen("judgement", tokens)
    forks.join()
    for (aspect, _), judgement in zip(ASPECTS, s["judgement"], strict=True):
        s += f"{aspect}: {judgement.strip()}\n"
    s += "All in all:" + sg.gen("summary", tokens) + "\nGrade from A to E:" + sg.gen("grade", 2)
    return s["grade"]


def items(source: Source, size: Size, salt: str) -> Items:
    longest = size.of(100_000, 300)
    rules = f"An article is read and judged by six aspects. Session {salt}."
    asked = source.articles[: size.of(6, 2)]
    return [{"rules": rules, "article": one[:longest], "tokens": size.of(32, 5)} for one in asked]


JUDGE = Workload(name="judge", about="judge of 6 articles, fork(6), then a summary", program=judge, items=items)
