"""Expressions: immutable sequences of instructions that `+` concatenates and `s += …` appends to a state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grammars.errors import InvalidSpec
from grammars.spec import JsonSchema, Regex, Spec
from sgdsl.choices import ChoicesMethod, token_length_normalized
from sgdsl.errors import BackendCapabilityError, InvalidArgument
from sgdsl.ir import Gen, Node, ScopeEnd, Select, Text
from sgdsl.sampling import Sampling
from sgdsl.types import Typed, dtype_pattern, typed

__all__ = ["Expr", "expression", "gen", "gen_bool", "gen_float", "gen_int", "gen_string", "select"]


@dataclass(frozen=True, slots=True)
class Expr:
    """A sequence of instructions. Immutable; `a + b` is a new one, and plain strings are text.

    Raises:
        InvalidArgument: two instructions would bind the same name.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for node in self.nodes:
            name = node.name if isinstance(node, Gen | Select | ScopeEnd) else None
            if name is not None and name in seen:
                raise InvalidArgument(f"name {name!r} is used twice within one expression")
            if name is not None:
                seen.add(name)

    def __add__(self, other: Expr | str) -> Expr:
        if not isinstance(other, Expr | str):
            return NotImplemented
        return Expr(self.nodes + expression(other).nodes)

    def __radd__(self, other: str) -> Expr:
        if not isinstance(other, str):
            return NotImplemented
        return Expr(expression(other).nodes + self.nodes)


def expression(value: object) -> Expr:
    """An expression, or a string as one.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, str):
        return Expr((Text(value),) if value else ())
    hint = "; str() makes text of it" if isinstance(value, int | float) else ""
    raise TypeError(f"an expression or a string is needed, not {type(value).__name__} {value!r:.60}{hint}")


def gen(
    name: str | None = None,
    max_tokens: int | None = None,
    *,
    min_tokens: int | None = None,
    n: int | None = None,
    stop: str | Sequence[str] | None = None,
    stop_token_ids: Sequence[int] | None = None,
    stop_regex: str | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    min_p: float | None = None,
    frequency_penalty: float | None = None,
    presence_penalty: float | None = None,
    repetition_penalty: float | None = None,
    logit_bias: Mapping[int, float] | None = None,
    seed: int | None = None,
    ignore_eos: bool | None = None,
    return_logprob: bool | None = None,
    logprob_start_len: int | None = None,
    top_logprobs_num: int | None = None,
    return_text_in_logprobs: bool | None = None,
    dtype: type | None = None,
    choices: Sequence[str] | None = None,
    choices_method: ChoicesMethod | None = None,
    regex: str | None = None,
    json_schema: str | dict[str, Any] | bool | type | None = None,
    grammar: str | None = None,
    lark: str | None = None,
    structural_tag: str | dict[str, Any] | None = None,
    type: Any = None,
    token_healing: bool | None = None,
    priority: int | None = None,
    timeout: float | None = None,
) -> Expr:
    """Text the model writes, bound to `name`.

    Args:
        max_tokens, min_tokens, temperature, top_p, top_k, min_p, frequency_penalty, presence_penalty,
            repetition_penalty, logit_bias, seed, ignore_eos: as in `runtime.sampling.params.SamplingParams`; what is
            left out comes from the run's defaults, then 128 tokens at temperature 1.
        n: number of samples; above 1 the value is their list, and the text goes on with the first.
        stop, stop_token_ids, stop_regex: end the text and are not part of it.
        return_logprob, top_logprobs_num, logprob_start_len, return_text_in_logprobs: what `get_meta_info` has of them.
        dtype: int, float, bool or str constrain the text; the value stays the text.
        choices, choices_method: one of these strings, as `select`.
        regex, json_schema, grammar, lark, structural_tag: what the text must look like.
        type: a Python type; the text is constrained to it and the value is an object of it.
        token_healing: let the first token begin inside the prompt's last one.
        priority: higher runs first. timeout: seconds.

    Raises:
        InvalidArgument: naming the argument, its value and what is allowed, or two constraints given together.
        BackendCapabilityError: a constraint that no backend can hold to yet.
    """
    given = {key: value for key, value in locals().items() if key in Sampling.names() and value is not None}
    constraints = {
        "dtype": dtype, "choices": choices, "regex": regex, "json_schema": json_schema, "grammar": grammar,
        "lark": lark, "structural_tag": structural_tag, "type": type,
    }  # fmt: skip
    chosen = _only_constraint(constraints)
    _refuse_unsupported(chosen, token_healing)
    _check_call(name, priority, timeout)
    if chosen == "choices":
        return _gen_choices(name, choices, choices_method, given, priority, timeout)
    if choices_method is not None:
        raise InvalidArgument("choices_method: is not allowed without choices")
    sampling = Sampling.of(given)
    constraint, parser = _constraint(chosen, constraints.get(chosen or ""), sampling)
    node = Gen(
        name=name, sampling=sampling, constraint=constraint, typed=parser, timeout=timeout, priority=priority
    )  # fmt: skip
    return Expr((node,))


def gen_int(name: str | None = None, max_tokens: int | None = None, **options: Any) -> Expr:
    """`gen` of the text of an integer."""
    return gen(name, max_tokens, dtype=int, **options)


def gen_float(name: str | None = None, max_tokens: int | None = None, **options: Any) -> Expr:
    """`gen` of the text of a decimal number."""
    return gen(name, max_tokens, dtype=float, **options)


def gen_bool(name: str | None = None, max_tokens: int | None = None, **options: Any) -> Expr:
    """`gen` of `True` or `False`."""
    return gen(name, max_tokens, dtype=bool, **options)


def gen_string(name: str | None = None, max_tokens: int | None = None, **options: Any) -> Expr:
    """`gen` of a string in double quotes."""
    return gen(name, max_tokens, dtype=str, **options)


def select(
    name: str | None = None,
    choices: Sequence[str] | None = None,
    temperature: float | None = None,
    choices_method: ChoicesMethod = token_length_normalized,
    *,
    seed: int | None = None,
    priority: int | None = None,
    timeout: float | None = None,
) -> Expr:
    """One of `choices`, bound to `name`; `get_meta_info(name)` has every choice's score and token log probabilities.

    Args:
        temperature: 0 takes the best; above 0 draws one by softmax of the scores.
        choices_method: one of `sgdsl.choices`.
        seed: makes the draw repeatable.

    Raises:
        InvalidArgument: no choices, one that is not a non-empty string, two alike, or a bad temperature.
    """
    _check_call(name, priority, timeout)
    checked = _check_choices(choices)
    warmth = 0.0 if temperature is None else temperature
    if isinstance(warmth, bool) or not isinstance(warmth, int | float) or not (0 <= warmth < math.inf):
        raise InvalidArgument(f"temperature={temperature!r} is not allowed: a finite number of at least 0")
    if not isinstance(choices_method, ChoicesMethod):
        raise InvalidArgument(f"choices_method={choices_method!r} is not allowed: one of sgdsl.choices")
    if choices_method.needs == "unconditional":
        raise BackendCapabilityError(f"choices_method={choices_method.name}", "default")
    if choices_method.needs == "generate" and warmth > 0:
        raise InvalidArgument(f"temperature={temperature!r} is not allowed with {choices_method.name}: it is greedy")
    Sampling.of({"seed": seed})
    node = Select(
        name=name, choices=checked, method=choices_method, temperature=float(warmth), seed=seed,
        timeout=timeout, priority=priority,
    )  # fmt: skip
    return Expr((node,))


def _check_choices(choices: Sequence[str] | None) -> tuple[str, ...]:
    if choices is None or isinstance(choices, str) or not list(choices):
        raise InvalidArgument(f"choices={choices!r} is not allowed: a list of at least one string")
    for choice in choices:
        if not isinstance(choice, str) or not choice:
            raise InvalidArgument(f"choices: {choice!r} is not allowed: a non-empty string")
    if len(set(choices)) < len(list(choices)):
        raise InvalidArgument(f"choices={list(choices)!r} is not allowed: two are alike")
    return tuple(choices)


def _check_call(name: object, priority: object, timeout: object) -> None:
    if name is not None and (not isinstance(name, str) or not name):
        raise InvalidArgument(f"name={name!r} is not allowed: a non-empty string or None")
    if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int)):
        raise InvalidArgument(f"priority={priority!r} is not allowed: an integer")
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise InvalidArgument(f"timeout={timeout!r} is not allowed: a number of seconds above 0")


def _only_constraint(constraints: Mapping[str, object]) -> str | None:
    named = [key for key, value in constraints.items() if value is not None]
    if len(named) > 1:
        raise InvalidArgument(f"{named[0]} and {named[1]} are given together: at most one constraint is allowed")
    return named[0] if named else None


def _refuse_unsupported(chosen: str | None, token_healing: bool | None) -> None:
    if chosen in ("grammar", "lark", "structural_tag"):
        raise BackendCapabilityError(chosen, "default", "grammars beyond regex and JSON schema are not compiled yet")
    if token_healing not in (None, False):
        raise BackendCapabilityError(f"token_healing={token_healing!r}", "default")


def _gen_choices(
    name: str | None,
    choices: Sequence[str] | None,
    method: ChoicesMethod | None,
    given: dict[str, Any],
    priority: int | None,
    timeout: float | None,
) -> Expr:
    """A gen with `choices` is a select: arguments that mean nothing there are refused, not dropped."""
    kept = {key: given.pop(key) for key in ("temperature", "seed", "return_logprob") if key in given}
    kept.pop("return_logprob", None)  # a select always has them
    if given:
        raise InvalidArgument(f"{next(iter(given))}: means nothing together with choices")
    return select(
        name, choices, choices_method=method or token_length_normalized, priority=priority, timeout=timeout, **kept
    )  # fmt: skip


def _constraint(chosen: str | None, value: Any, sampling: Sampling) -> tuple[Spec | None, Typed | None]:
    try:
        if chosen == "regex":
            return Regex(value), None
        if chosen == "json_schema":
            schema = value.model_json_schema() if hasattr(value, "model_json_schema") else value
            return JsonSchema.of(schema), None
        if chosen == "dtype":
            return Regex(dtype_pattern(value, sampling.stop or ())), None
        if chosen == "type":
            parser = typed(value)
            return parser.constraint, parser
    except (InvalidSpec, TypeError) as error:
        raise InvalidArgument(f"{chosen}: {error}") from error
    return None, None
