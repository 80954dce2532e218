"""A source read from a folder of published data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.suite.generated import generated
from benchmarks.suite.source import Scene, Source, Step, Sum, Topic, Trajectory

__all__ = ["read_folder"]

T = TypeVar("T")


def read_folder(folder: Path) -> Source:
    """Reads `gsm8k_fewshot.jsonl`, `gsm8k_test.jsonl`, `hotpotqa_100.jsonl`, `judge_articles.jsonl`, `tip_topics.jsonl`
    and `characters.txt`; scenes from `hellaswag.jsonl` where that is there (HellaSwag's own fields), else generated.

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: a line is not of its file's form; the message has file and line.
    """
    hellaswag = folder / "hellaswag.jsonl"
    return Source(
        name=str(folder),
        examples=_read(folder / "gsm8k_fewshot.jsonl", _sum),
        problems=_read(folder / "gsm8k_test.jsonl", _sum),
        trajectories=_read(folder / "hotpotqa_100.jsonl", _trajectory),
        articles=_read(folder / "judge_articles.jsonl", str),
        topics=_read(folder / "tip_topics.jsonl", _topic),
        characters=[line for line in (folder / "characters.txt").read_text(encoding="utf-8").splitlines() if line],
        scenes=_read(hellaswag, _scene) if hellaswag.exists() else generated(0).scenes,
    )


def _read(path: Path, made: Callable[[Any], T]) -> list[T]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(made(json.loads(line)))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}: {line[:100]}") from error
    return found


def _sum(line: Any) -> Sum:
    return Sum(line["question"], line["answer"])


def _trajectory(line: Any) -> Trajectory:
    """One field: the question, and below it the turns."""
    ((question, turns),) = line.items()
    steps = tuple(Step(turn["thought"], turn["action"], turn["observation"].strip()) for turn in turns)
    return Trajectory(question.removeprefix("Question: "), steps)


def _topic(line: Any) -> Topic:
    return Topic(line["topic"], int(line["number"]))


def _scene(line: Any) -> Scene:
    return Scene(line["activity_label"], line["ctx"], tuple(line["endings"]), int(line["label"]))
