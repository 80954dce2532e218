"""Param limits: what sampling parameters may ask for, when they come from somebody else."""

from __future__ import annotations

from runtime.sampling.params import SamplingParams
from runtime.server.errors import bad_request

__all__ = ["MOST_BIASES", "MOST_STOPS", "MOST_STOP_CHARACTERS", "NO_STOP_REGEX", "check_params"]

MOST_STOPS = 256
MOST_BIASES = 4096
MOST_STOP_CHARACTERS = 512
"""Of one stop string: all its beginnings are kept, which takes memory by the square of its length."""
NO_STOP_REGEX = "stop_regex: not taken from clients; stop and regex are"
"""It would be searched with backtracking in the step loop, which everybody shares."""


def check_params(params: SamplingParams) -> None:
    """Whether the parameters stay within bounds.

    Raises:
        ApiError: naming the field that does not, and what is allowed.
    """
    if params.stop_regex is not None:
        raise bad_request("stop_regex", NO_STOP_REGEX)
    counts = {
        "stop": (len(params.stop), MOST_STOPS),
        "stop_token_ids": (len(params.stop_token_ids), MOST_STOPS),
        "logit_bias": (len(params.logit_bias or ()), MOST_BIASES),
    }
    for name, (count, most) in counts.items():
        if count > most:
            raise bad_request(name, f"{name}: {count} are given; at most {most} are allowed")
    longest = max(map(len, params.stop), default=0)
    if longest > MOST_STOP_CHARACTERS:
        message = f"stop: {longest} characters are given; at most {MOST_STOP_CHARACTERS} are allowed"
        raise bad_request("stop", message)
