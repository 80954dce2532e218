"""Choosing: which of several scored texts to take. Arithmetic that a client can name and a server do."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from runtime.errors import InvalidParameter
from runtime.sendable import Sendable

__all__ = ["METHODS", "Choosing", "Logprobs", "best", "draw", "means", "sums", "survivals"]

Logprobs: TypeAlias = Sequence[Sequence[float]]
"""Per choice, the log probability of each of its tokens given the prompt and the tokens before.

Of a method that needs "unconditional", less that of the same tokens without the prompt; of the first nothing is taken
off.
"""


def means(logprobs: Logprobs) -> list[float]:
    """The mean of every row."""
    return [_mean(row) for row in logprobs]


def sums(logprobs: Logprobs) -> list[float]:
    """The sum of every row."""
    return [-math.inf if -math.inf in row else math.fsum(row) for row in logprobs]


def survivals(logprobs: Logprobs) -> list[float]:
    """How many columns each row survives, so that the last one standing scores highest."""
    width = max((len(row) for row in logprobs), default=0)
    rows = [[*row, *[_mean(row)] * (width - len(row))] for row in logprobs]
    survived = [0.0] * len(rows)
    alive = list(range(len(rows)))
    for column in range(width):
        top = max(rows[index][column] for index in alive)
        alive = [index for index in alive if rows[index][column] == top]
        for index in alive:
            survived[index] += 1.0
        if len(alive) == 1:
            break
    return survived


def best(scores: Sequence[float]) -> int:
    """The position of the highest score; of equals, the first."""
    return max(range(len(scores)), key=lambda index: (scores[index], -index))


def draw(scores: Sequence[float], temperature: float, generator: random.Random) -> int:
    """One position, drawn with probability softmax(scores / temperature)."""
    top = max(scores)
    weights = [math.exp((score - top) / temperature) if score > -math.inf else 0.0 for score in scores]
    if top == -math.inf:
        weights = [1.0] * len(scores)
    return generator.choices(range(len(scores)), weights)[0]


def _mean(row: Sequence[float]) -> float:
    if not row:
        return 0.0
    return -math.inf if -math.inf in row else math.fsum(row) / len(row)


METHODS: Mapping[str, Callable[[Logprobs], list[float]]] = MappingProxyType(
    {
        "token_length_normalized": means,
        "greedy_token_selection": survivals,
        "joint_likelihood": sums,
        "unconditional_likelihood_normalized": means,
    }
)
"""The methods that go by log probabilities, by name: → one number per choice, higher is better."""


class Choosing(Sendable, frozen=True):
    """A choice that can be written down: a method by name, and how to draw.

    Args:
        method: a name in `METHODS`.
        temperature: 0 takes the best; above, one is drawn by softmax of the scores.
        seed: the same seed draws the same choice.

    Raises:
        InvalidParameter: no method of that name, or a temperature below 0.
    """

    method: str
    temperature: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidParameter("choices_method", self.method, f"one of {', '.join(METHODS)}")
        if not 0 <= self.temperature < math.inf:
            raise InvalidParameter("temperature", self.temperature, "a finite number of at least 0")

    def __call__(self, logprobs: Logprobs) -> int:
        """The position of the choice to take."""
        scores = METHODS[self.method](logprobs)
        return best(scores) if self.temperature == 0 else draw(scores, self.temperature, random.Random(self.seed))
