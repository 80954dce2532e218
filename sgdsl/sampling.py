"""Sampling: what a gen, or a whole run, says about how tokens are picked; what is unset is taken from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter
from sgdsl.errors import InvalidArgument

if TYPE_CHECKING:
    from grammars.spec import Spec
    from runtime.sampling.params import SamplingParams

__all__ = ["Sampling"]

_RENAMED = {"max_tokens": "max_new_tokens", "min_tokens": "min_new_tokens"}
_NEUTRAL: Mapping[str, object] = MappingProxyType(
    {
        **dict.fromkeys(("min_tokens", "min_p", "frequency_penalty", "presence_penalty", "top_logprobs_num"), 0),
        **dict.fromkeys(("n", "temperature", "top_p", "repetition_penalty"), 1),
        **dict.fromkeys(("stop", "stop_token_ids", "logit_bias"), ()),
        **dict.fromkeys(("ignore_eos", "return_logprob", "return_text_in_logprobs"), False),
        **dict.fromkeys(("top_k", "logprob_start_len"), -1),
    }
)
"""Values that ask for nothing."""
_LOGPROBS = ("return_logprob", "logprob_start_len", "top_logprobs_num", "return_text_in_logprobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling fields under their names in the language; None where nothing was said.

    The values in force when nobody says anything are SGLang's: 128 tokens, temperature 1, no stop.
    """

    max_tokens: int | None = None
    min_tokens: int | None = None
    n: int | None = None
    stop: tuple[str, ...] | None = None
    stop_token_ids: tuple[int, ...] | None = None
    stop_regex: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] | None = None
    seed: int | None = None
    ignore_eos: bool | None = None
    return_logprob: bool | None = None
    logprob_start_len: int | None = None
    top_logprobs_num: int | None = None
    return_text_in_logprobs: bool | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Sampling:
        """Reads and checks keyword arguments, `max_new_tokens` and a single `stop` string included.

        Raises:
            InvalidArgument: naming the argument, its value and what is allowed.
        """
        given = {key: value for key, value in values.items() if value is not None}
        if "max_new_tokens" in given:
            given["max_tokens"] = given.pop("max_new_tokens")
        if isinstance(given.get("stop"), str):
            given["stop"] = (given["stop"],)
        if isinstance(given.get("stop_regex"), list | tuple):
            given["stop_regex"] = _any_of("stop_regex", given["stop_regex"])
        for key in ("stop", "stop_token_ids"):
            if key in given:
                given[key] = _as_tuple(key, given[key])
        if "logit_bias" in given:
            given["logit_bias"] = _bias(given["logit_bias"])
        _check_logprobs(given)
        made = cls(**given)
        if any(isinstance(value, bool) and key not in _BOOLEAN for key, value in given.items()):
            _params.__wrapped__(made, None)  # True equals 1, so what is kept for 1 says nothing about it
        made.params(None)
        return made

    @classmethod
    def names(cls) -> frozenset[str]:
        """Every keyword `of` understands."""
        return frozenset(f.name for f in fields(cls)) | {"max_new_tokens"}

    def over(self, defaults: Sampling) -> Sampling:
        """This, with what it leaves unset taken from `defaults`."""
        return _merged(self, defaults)

    def asked(self) -> dict[str, Any]:
        """The fields that ask for something, with their values."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value is not None and value != _NEUTRAL.get(name)}

    def params(self, constraint: Spec | None) -> SamplingParams:
        """What the runtime is asked for.

        Raises:
            InvalidArgument: naming the argument, its value and what is allowed.
        """
        return _params(self, constraint)

    def one(self, constraint: Spec | None, sample: int) -> SamplingParams:
        """As `params`, for one of several samples: n is 1 and a seed moves on from sample to sample."""
        if (self.n or 1) == 1 and sample == 0:
            return self.params(constraint)
        seed = None if self.seed is None else self.seed + sample
        return Sampling(n=1, seed=seed).over(self).params(constraint)


_NAMES = tuple(f.name for f in fields(Sampling))
_BOOLEAN = frozenset(("ignore_eos", "return_logprob", "return_text_in_logprobs"))
_OF_PARAMS = tuple(name for name in _NAMES if name not in _LOGPROBS)


@lru_cache(maxsize=4096)
def _merged(own: Sampling, defaults: Sampling) -> Sampling:
    """A batch says the same of each gen in every item: it is worked out once."""
    given = {name: value for name in _NAMES if (value := getattr(own, name)) is not None}
    taken = {name: value for name in _NAMES if (value := getattr(defaults, name)) is not None}
    return Sampling(**{**taken, **given})


@lru_cache(maxsize=4096)
def _params(sampling: Sampling, constraint: Spec | None) -> SamplingParams:
    from runtime.sampling.params import SamplingParams  # loads numpy, which `import sgdsl` must not

    given = {_RENAMED.get(name, name): value for name in _OF_PARAMS if (value := getattr(sampling, name)) is not None}
    if "logit_bias" in given:
        given["logit_bias"] = dict(given["logit_bias"])
    try:
        return SamplingParams(**given, constraint=constraint)
    except InvalidParameter as error:
        raise InvalidArgument(_in_our_words(str(error))) from None


def _in_our_words(message: str) -> str:
    for ours, theirs in _RENAMED.items():
        message = message.replace(theirs, ours)
    return message


def _as_tuple(field: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, Sequence | set | frozenset) or isinstance(value, bytes):
        alone = "a string or " if field == "stop" else ""
        raise InvalidArgument(f"{field}={value!r} is not allowed: {alone}a list")
    return tuple(value)


def _any_of(field: str, patterns: Sequence[object]) -> str | None:
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise InvalidArgument(f"{field}={patterns!r} is not allowed: a pattern, or a list of patterns")
    return "|".join(f"(?:{pattern})" for pattern in patterns) or None


def _bias(value: object) -> tuple[tuple[int, float], ...]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"logit_bias={value!r} is not allowed: a dict of token id → bias")
    try:
        return tuple((int(token), bias) for token, bias in value.items())
    except (TypeError, ValueError):
        raise InvalidArgument(f"logit_bias={value!r} is not allowed: its keys are token ids") from None


def _check_logprobs(given: dict[str, Any]) -> None:
    for key in ("return_logprob", "return_text_in_logprobs", "ignore_eos"):
        if not isinstance(given.get(key, False), bool):
            raise InvalidArgument(f"{key}={given[key]!r} is not allowed: True or False")
    for key, low in (("top_logprobs_num", 0), ("logprob_start_len", -1)):
        value = given.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise InvalidArgument(f"{key}={value!r} is not allowed: an integer of at least {low}")
