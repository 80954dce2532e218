"""Sampling: a request's fields as the engine's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from grammars import Spec
from runtime.errors import InvalidParameter
from runtime.sampling.params import SamplingParams
from runtime.server.errors import ApiError, bad_request
from runtime.server.openai.requests import GenerationRequest

__all__ = ["sampling_params"]

_SAME = (
    "n", "temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "ignore_eos",
    "skip_special_tokens", "priority", "timeout",
)  # fmt: skip
_THEIR_NAMES: Mapping[str, str] = MappingProxyType({"max_new_tokens": "max_tokens", "min_new_tokens": "min_tokens"})
MOST_STOP_TOKENS = 256
MOST_BIASES = 4096
SEEDS = 1 << 63


def sampling_params(
    request: GenerationRequest, constraint: Spec | None, *, constraint_after: str | None = None
) -> SamplingParams:
    """The parameters; a length that is not given is as long as the context allows.

    Raises:
        ApiError: a field has a value that is not allowed; `param` names it.
    """
    given: dict[str, Any] = {name: getattr(request, name) for name in _SAME}
    given |= {
        "max_new_tokens": _length(request),
        "min_new_tokens": request.min_tokens,
        "top_k": -1 if request.top_k == 0 else request.top_k,
        "seed": None if request.seed is None else request.seed % SEEDS,
        "stop": _stops(request.stop),
        "stop_token_ids": _limited("stop_token_ids", tuple(request.stop_token_ids or ()), MOST_STOP_TOKENS),
        "stop_regex": request.stop_regex,
        "logit_bias": _biases(request.logit_bias),
        "constraint": constraint,
        "constraint_after": constraint_after,
    }
    present = {name: value for name, value in given.items() if value is not None}
    try:
        return SamplingParams(**{"max_new_tokens": None, **present})
    except InvalidParameter as error:
        raise _renamed(error, request) from None


def _length(request: GenerationRequest) -> int | None:
    both = (request.max_completion_tokens, request.max_tokens)
    if None not in both and both[0] != both[1]:
        raise bad_request("max_tokens", f"max_tokens={both[1]} and max_completion_tokens={both[0]} contradict")
    return both[1] if both[0] is None else both[0]


def _stops(given: str | list[str] | None) -> tuple[str, ...]:
    stops = (given,) if isinstance(given, str) else tuple(given or ())
    return tuple(stop for stop in stops if stop)  # some clients send an empty string for none


def _limited(param: str, given: tuple[Any, ...], most: int) -> tuple[Any, ...]:
    if len(given) > most:
        raise bad_request(param, f"{param}: {len(given)} are given; at most {most} are allowed")
    return given


def _biases(given: Mapping[str, float] | None) -> dict[int, float]:
    if given and len(given) > MOST_BIASES:
        raise bad_request("logit_bias", f"logit_bias: {len(given)} are given; at most {MOST_BIASES} are allowed")
    try:
        return {int(token): bias for token, bias in (given or {}).items()}
    except ValueError:
        raise bad_request("logit_bias", "logit_bias: the names are token ids, such as '42'") from None


def _renamed(error: InvalidParameter, request: GenerationRequest) -> ApiError:
    """The error in the client's words."""
    ours, message = error.field.partition(" ")[0].partition("[")[0], str(error)
    theirs = _THEIR_NAMES.get(ours, ours)
    if theirs == "max_tokens" and request.max_tokens is None:
        theirs = "max_completion_tokens"
    for one, other in {**_THEIR_NAMES, ours: theirs}.items():
        message = message.replace(one, other)
    return bad_request(theirs, message)
