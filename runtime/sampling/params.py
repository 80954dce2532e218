"""How one request is sampled: names and meanings as SGLang's, validated where they enter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from grammars import Choice, JsonSchema, Regex, Spec
from grammars.spec import Gbnf, Lark, StructuralTag
from runtime.errors import InvalidParameter
from runtime.sampling.stop_pattern import pattern_automaton
from runtime.sampling.stop_strings import check_stop_strings

__all__ = ["SamplingParams"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """Sampling and stopping of one generate call.

    Args:
        max_new_tokens: at most this many new tokens; 0 only computes the prompt; None means to the end of the context.
        min_new_tokens: end tokens and stops are held back until there are this many.
        temperature: 0 is greedy.
        top_k: keep the k likeliest tokens; -1 keeps all.
        top_p, min_p: nucleus mass; share of the likeliest token's probability a token needs.
        frequency_penalty, presence_penalty: subtracted per occurrence / once, over generated tokens only.
        repetition_penalty: logits of tokens seen in prompt or output are divided (or multiplied) by it.
        logit_bias: token id → added to its logit.
        stop: strings that end the text and are not part of it; at most 1,024, of 16,384 characters in all.
        stop_token_ids: tokens that end the text and are not part of it.
        stop_regex: a pattern that ends the text; its match is not part of it. It must not match the empty text. At
            most 1,024 characters, as `re` reads them, without references, atomic groups, possessive repetitions and
            `(?x)`; look-around at one character only.
        ignore_eos: end tokens of the model do not end the text.
        skip_special_tokens: special tokens are no part of the text; otherwise their names are, save one that ends it.
        n: number of samples.
        seed: the same seed gives the same text whatever else is in the batch.
        constraint: the grammar the text must follow.
        constraint_after: the text that ends a model's reasoning, such as `</think>`: everything may come before it, and
            the constraint begins right after it.
        token_healing: the first token may begin inside the prompt's last ones, which are taken back for it.
        jump_forward: tokens the grammar leaves no choice about are appended without the model, where the engine's
            setting of that name allows it too.
        priority: of the requests that wait, those with the higher one are admitted first.
        timeout: seconds from when the call is begun until it ends with what there is by then; None for no limit.

    Raises:
        InvalidParameter: naming the field, its value and what is allowed.
    """

    max_new_tokens: int | None = 128
    min_new_tokens: int = 0
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    stop_regex: str | None = None
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    n: int = 1
    seed: int | None = None
    constraint: Spec | None = None
    constraint_after: str | None = None
    token_healing: bool = False
    jump_forward: bool = True
    priority: int = 0
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None:
            _integer("max_new_tokens", self.max_new_tokens, 0)
        _integer("min_new_tokens", self.min_new_tokens, 0)
        _integer("n", self.n, 1)
        if self.max_new_tokens is not None and self.min_new_tokens > self.max_new_tokens:
            raise InvalidParameter(
                "min_new_tokens", self.min_new_tokens, f"at most max_new_tokens={self.max_new_tokens}"
            )
        if self.top_k != -1:
            _integer("top_k", self.top_k, 1, "-1 (all) or an integer of at least 1")
        _number("temperature", self.temperature, 0.0, math.inf)
        _number("top_p", self.top_p, 0.0, 1.0, exclude_low=True)
        _number("min_p", self.min_p, 0.0, 1.0)
        _number("frequency_penalty", self.frequency_penalty, -2.0, 2.0)
        _number("presence_penalty", self.presence_penalty, -2.0, 2.0)
        _number("repetition_penalty", self.repetition_penalty, 0.0, 2.0, exclude_low=True)
        self._check_stops()
        if self.seed is not None:
            _integer("seed", self.seed, 0)
        for token, bias in self.logit_bias.items():
            _integer("logit_bias token", token, 0)
            _number(f"logit_bias[{token}]", bias, -_MAX_BIAS, _MAX_BIAS)
        if isinstance(self.priority, bool) or not isinstance(self.priority, int):
            raise InvalidParameter("priority", self.priority, "an integer")
        if self.timeout is not None:
            _number("timeout", self.timeout, 0.0, math.inf, exclude_low=True)
        _boolean("ignore_eos", self.ignore_eos)
        _boolean("skip_special_tokens", self.skip_special_tokens)
        _boolean("token_healing", self.token_healing)
        _boolean("jump_forward", self.jump_forward)
        if not isinstance(self.constraint, Spec | None):
            raise InvalidParameter("constraint", self.constraint, "a spec of `grammars` (Regex, JsonSchema …) or None")
        marker = self.constraint_after
        if marker is not None and (not isinstance(marker, str) or not marker or self.constraint is None):
            raise InvalidParameter("constraint_after", marker, "a non-empty string, together with a constraint")

    def _check_stops(self) -> None:
        check_stop_strings(self.stop)
        for token in self.stop_token_ids:
            _integer("stop_token_ids", token, 0)
        if self.stop_regex is not None:
            pattern_automaton(self.stop_regex)

    @classmethod
    def parse(cls, values: Mapping[str, Any] | None) -> SamplingParams:
        """Reads SGLang's dictionary form: a single `stop` string, `sampling_seed`, and constraints by name.

        Those names are `regex`, `json_schema`, `choice`, `ebnf`, `lark` and `structural_tag`.

        Raises:
            InvalidParameter: an unknown key, or more than one constraint.
        """
        given = dict(values or {})
        if isinstance(given.get("stop"), str):
            given["stop"] = (given["stop"],)
        for key in ("stop", "stop_token_ids"):
            if key in given:
                given[key] = _listed(key, given[key])
        if given.get("logit_bias"):
            given["logit_bias"] = _biases(given["logit_bias"])
        if given.get("sampling_seed") is not None:
            given["seed"] = given["sampling_seed"]
        given.pop("sampling_seed", None)
        given["constraint"] = _constraint(given)
        known = {f.name for f in fields(cls)}
        for key in given:
            if key not in known:
                raise InvalidParameter(key, given[key], f"one of {', '.join(sorted(known | set(_SPECS)))}")
        return cls(**{key: value for key, value in given.items() if value is not None or key in _NULLABLE})


_NULLABLE = frozenset({"max_new_tokens", "seed", "constraint", "constraint_after", "stop_regex", "timeout"})
_SPECS: Mapping[str, Callable[[Any], Spec]] = MappingProxyType(
    {
        "regex": Regex,
        "json_schema": JsonSchema.of,
        "choice": lambda options: Choice(_listed("choice", options)),
        "ebnf": Gbnf,
        "lark": Lark,
        "structural_tag": StructuralTag.of,
    }
)
_MAX_BIAS = 1e30  # far above any logit, far below float32's infinity


def _listed(field_name: str, value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise InvalidParameter(field_name, value, "a list")
    return tuple(value)


def _biases(given: object) -> dict[int, float]:
    if not isinstance(given, Mapping):
        raise InvalidParameter("logit_bias", given, "a mapping of token ids to numbers")
    try:
        return {int(token): bias for token, bias in given.items()}
    except (TypeError, ValueError) as error:
        raise InvalidParameter("logit_bias", given, "a mapping of token ids to numbers") from error


def _constraint(given: dict[str, Any]) -> Spec | None:
    specs = {key: given.pop(key) for key in tuple(_SPECS) if key in given}
    named = [key for key, value in specs.items() if value is not None]
    named += ["constraint"] if given.get("constraint") is not None else []
    if len(named) > 1:
        raise InvalidParameter(named[1], specs.get(named[1]), f"at most one constraint ({named[0]} is given too)")
    if not named or named == ["constraint"]:
        return given.get("constraint")
    return _SPECS[named[0]](specs[named[0]])


def _boolean(field_name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidParameter(field_name, value, "True or False")


def _integer(field_name: str, value: object, low: int, allowed: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InvalidParameter(field_name, value, allowed or f"an integer of at least {low}")


def _number(field_name: str, value: object, low: float, high: float, *, exclude_low: bool = False) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
    if good and low <= value <= high and not (exclude_low and value == low):  # type: ignore[operator]
        return
    above = "above" if exclude_low else "of at least"
    span = "a finite number" if low == -math.inf else f"a finite number {above} {low:g}"
    raise InvalidParameter(field_name, value, span + ("" if high == math.inf else f" and at most {high:g}"))
