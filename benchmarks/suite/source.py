"""Source: what the workloads are about: sums, trajectories, articles, topics, names and scenes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Scene", "Source", "Step", "Sum", "Topic", "Trajectory"]


@dataclass(frozen=True, slots=True)
class Sum:
    """A word problem and its worked answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of a recorded agent."""

    thought: str
    action: str
    observation: str


@dataclass(frozen=True, slots=True)
class Trajectory:
    """All turns of a recorded agent on a question."""

    question: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """Something to give a number of tips on."""

    name: str
    num_tips: int


@dataclass(frozen=True, slots=True)
class Scene:
    """The beginning of a description, its possible endings, and the place of the right one among them."""

    activity: str
    beginning: str
    endings: tuple[str, ...]
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Everything workloads draw from.

    Attributes:
        name: where it comes from, for the report.
        examples: sums that are shown solved; problems: sums to solve.
    """

    name: str
    examples: Sequence[Sum]
    problems: Sequence[Sum]
    trajectories: Sequence[Trajectory]
    articles: Sequence[str]
    topics: Sequence[Topic]
    characters: Sequence[str]
    scenes: Sequence[Scene]

    def document(self, num_articles: int, salt: str) -> str:
        """Articles one after another, drawn by the salt."""
        drawn = random.Random(salt).sample(range(len(self.articles)), min(num_articles, len(self.articles)))
        return "\n\n".join(self.articles[place] for place in drawn)
