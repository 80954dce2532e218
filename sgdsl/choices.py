"""Choices methods: which of several texts a select takes, from the log probabilities of their tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.choosing import Logprobs, best, draw, means, sums, survivals

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
        return best(self.scores(logprobs))


token_length_normalized = ChoicesMethod("token_length_normalized", means)
"""The highest mean log probability per token."""

greedy_token_selection = ChoicesMethod("greedy_token_selection", survivals)
"""Column by column, the rows whose token is likeliest stay; short rows are padded with their own mean."""

joint_likelihood = ChoicesMethod("joint_likelihood", sums)
"""The likeliest text as a whole: the highest sum of log probabilities."""

unconditional_likelihood_normalized = ChoicesMethod("unconditional_likelihood_normalized", means, needs="unconditional")
"""The highest mean of what the prompt adds to each token's log probability."""

constrained_greedy = ChoicesMethod("constrained_greedy", sums, needs="generate")
"""Greedy decoding that may only write one of the choices: one pass, no scoring."""
