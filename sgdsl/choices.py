"""Choices methods: which of several texts a select takes, from the log probabilities of their tokens."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "ChoicesMethod",
    "Logprobs",
    "constrained_greedy",
    "draw",
    "greedy_token_selection",
    "joint_likelihood",
    "token_length_normalized",
    "unconditional_likelihood_normalized",
]

Logprobs: TypeAlias = Sequence[Sequence[float]]
"""Per choice, the log probability of each of its tokens given the prompt and the tokens before.

Of a method that needs "unconditional", less that of the same tokens without the prompt; of the first nothing is taken
off.
"""


@dataclass(frozen=True, slots=True)
class ChoicesMethod:
    """A way of choosing.

    Attributes:
        name: how the language calls it.
        scores: log probabilities → one number per choice, higher is better.
        needs: what a backend must do beyond scoring: "nothing", "unconditional" or "generate" (then no scoring).
    """

    name: str
    scores: Callable[[Logprobs], list[float]]
    needs: str = "nothing"

    def choose(self, logprobs: Logprobs) -> int:
        """The choice with the highest score; of equals, the first."""
        scores = self.scores(logprobs)
        return max(range(len(scores)), key=lambda index: (scores[index], -index))


def draw(scores: Sequence[float], temperature: float, generator: random.Random) -> int:
    """One choice, drawn with probability softmax(scores / temperature)."""
    best = max(scores)
    weights = [math.exp((score - best) / temperature) if score > -math.inf else 0.0 for score in scores]
    if best == -math.inf:
        weights = [1.0] * len(scores)
    return generator.choices(range(len(scores)), weights)[0]


def _mean(row: Sequence[float]) -> float:
    if not row:
        return 0.0
    return -math.inf if -math.inf in row else math.fsum(row) / len(row)


def _means(logprobs: Logprobs) -> list[float]:
    return [_mean(row) for row in logprobs]


def _sums(logprobs: Logprobs) -> list[float]:
    return [-math.inf if -math.inf in row else math.fsum(row) for row in logprobs]


def _greedy(logprobs: Logprobs) -> list[float]:
    """How many columns each row survives, so that the last one standing scores highest."""
    width = max((len(row) for row in logprobs), default=0)
    rows = [[*row, *[_mean(row)] * (width - len(row))] for row in logprobs]
    survived = [0.0] * len(rows)
    alive = list(range(len(rows)))
    for column in range(width):
        best = max(rows[index][column] for index in alive)
        alive = [index for index in alive if rows[index][column] == best]
        for index in alive:
            survived[index] += 1.0
        if len(alive) == 1:
            break
    return survived


token_length_normalized = ChoicesMethod("token_length_normalized", _means)
"""The highest mean log probability per token."""

greedy_token_selection = ChoicesMethod("greedy_token_selection", _greedy)
"""Column by column, the rows whose token is likeliest stay; short rows are padded with their own mean."""

joint_likelihood = ChoicesMethod("joint_likelihood", _sums)
"""The likeliest text as a whole: the highest sum of log probabilities."""

unconditional_likelihood_normalized = ChoicesMethod(
    "unconditional_likelihood_normalized", _means, needs="unconditional"
)
"""The highest mean of what the prompt adds to each token's log probability."""

constrained_greedy = ChoicesMethod("constrained_greedy", _sums, needs="generate")
"""Greedy decoding that may only write one of the choices: one pass, no scoring."""
