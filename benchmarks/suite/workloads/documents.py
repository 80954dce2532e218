"""Documents: ten questions at once about one long text."""

from __future__ import annotations

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["DOCUMENTS"]

QUESTIONS = (
    "Which subjects does the text speak of?",
    "Which claim is the boldest?",
    "What does the text say about risks?",
    "Whom is it written for?",
    "Which examples does it give?",
    "What should the reader do now?",
    "Which numbers are in it?",
    "What does it leave out?",
    "Which of its parts contradict each other?",
    "What is its last point?",
)


@sg.function
def ask(s, rules: str, document: str, questions: list[str], tokens: int):
    s += f"{rules}\n\n{document}\n\n"
    forks = s.fork(len(questions))
    forks += lambda i: f"Question: {questions[i]}\nAnswer:" + sg.gen("answer", tokens)
    forks.join()
    return s["answer"]


def items(source: Source, size: Size, salt: str) -> Items:
    longest = size.of(100_000, 600)
    asked = list(QUESTIONS[: size.of(10, 3)])
    return [
        {
            "rules": f"Document {number} of session {salt}.", "document": source.document(4, f"{number}")[:longest],
            "questions": asked, "tokens": size.of(32, 5),
        }
        for number in range(size.of(2, 1))
    ]  # fmt: skip


DOCUMENTS = Workload(name="documents", about="2 long documents, 10 questions each", program=ask, items=items)
