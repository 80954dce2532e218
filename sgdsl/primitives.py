"""Expressions: immutable sequences of instructions that `+` concatenates and `s += …` appends to a state."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from sgdsl.choices import ChoicesMethod, token_length_normalized
from sgdsl.errors import InvalidArgument, NotSupported
from sgdsl.ir import Gen, Node, ScopeEnd, Select, Text
from sgdsl.options import CONSTRAINTS, GenOptions, PlainOptions
from sgdsl.sampling import Sampling
from sgdsl.types import Typed, dtype_pattern, typed

if TYPE_CHECKING:
    from grammars.spec import Spec

__all__ = [
    "Expr",
    "check_call",
    "check_choices",
    "check_timeout",
    "expression",
    "gen",
    "gen_bool",
    "gen_float",
    "gen_int",
    "gen_string",
    "select",
]


@dataclass(frozen=True, slots=True)
class Expr:
    """A sequence of instructions. Immutable; `a + b` is a new one, and plain strings are text.

    Raises:
        InvalidArgument: two instructions would bind the same name.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for name in (name for node in self.nodes for name in _names(node)):
            if name in seen:
                raise InvalidArgument(f"name {name!r} is used twice within one expression")
            seen.add(name)

    def __add__(self, other: Expr | str) -> Expr:
        if not isinstance(other, Expr | str):
            return NotImplemented
        return Expr(self.nodes + expression(other).nodes)

    def __radd__(self, other: str) -> Expr:
        if not isinstance(other, str):
            return NotImplemented
        return Expr(expression(other).nodes + self.nodes)


def _names(node: Node) -> list[str]:
    """What a node binds."""
    found = [node.name if isinstance(node, Gen | Select | ScopeEnd) else None]
    found += [node.reasoning_name] if isinstance(node, Gen) else []
    return [name for name in found if name is not None]


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


def gen(name: str | None = None, max_tokens: int | None = None, **options: Unpack[GenOptions]) -> Expr:
    """Text the model writes, bound to `name`.

    Args:
        max_tokens: at most this many; the run's default, or 128.
        options: see `sgdsl.options.GenOptions`. With `n` above 1 the value is the list of samples, and the text goes
            on with the first. Stop strings and end tokens are not part of the text.

    Raises:
        InvalidArgument: naming the argument, its value and what is allowed, or two constraints given together.
        NotSupported: a structural tag of a kind that is not known.
        TypeError: an argument that does not exist.
    """
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    unknown = set(options) - GenOptions.__optional_keys__
    if unknown:
        raise TypeError(_unknown(min(unknown)))
    if max_tokens is not None:
        given["max_tokens"] = max_tokens
    kind, value = _only_constraint(given)
    priority, timeout = given.pop("priority", None), given.pop("timeout", None)
    check_call(name, priority, timeout)
    if kind == "choices":
        return _gen_choices(name, value, given, priority, timeout)
    token_healing = _checked_healing(given.pop("token_healing", False))
    if "choices_method" in given:
        raise InvalidArgument("choices_method is not allowed without choices")
    sampling = Sampling.of(given)
    constraint, parser = _constraint(kind, value, sampling)
    node = Gen(
        name=name, sampling=sampling, constraint=constraint, typed=parser, token_healing=token_healing,
        timeout=timeout, priority=priority,
    )  # fmt: skip
    return Expr((node,))


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    allowed = sorted(GenOptions.__optional_keys__ | {"max_tokens"})
    close = get_close_matches(name, allowed, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(allowed)}"
    return f"gen() got an unexpected keyword argument {name!r}; {hint}"


def gen_int(name: str | None = None, max_tokens: int | None = None, **options: Unpack[PlainOptions]) -> Expr:
    """`gen` of the text of an integer."""
    return gen(name, max_tokens, dtype=int, **options)


def gen_float(name: str | None = None, max_tokens: int | None = None, **options: Unpack[PlainOptions]) -> Expr:
    """`gen` of the text of a decimal number."""
    return gen(name, max_tokens, dtype=float, **options)


def gen_bool(name: str | None = None, max_tokens: int | None = None, **options: Unpack[PlainOptions]) -> Expr:
    """`gen` of `True` or `False`."""
    return gen(name, max_tokens, dtype=bool, **options)


def gen_string(name: str | None = None, max_tokens: int | None = None, **options: Unpack[PlainOptions]) -> Expr:
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
    check_call(name, priority, timeout)
    checked = check_choices(choices)
    warmth = 0.0 if temperature is None else temperature
    if isinstance(warmth, bool) or not isinstance(warmth, int | float) or not (0 <= warmth < math.inf):
        raise InvalidArgument(f"temperature={temperature!r} is not allowed: a finite number of at least 0")
    if not isinstance(choices_method, ChoicesMethod):
        raise InvalidArgument(f"choices_method={choices_method!r} is not allowed: one of sgdsl.choices")
    if choices_method.needs == "generate" and warmth > 0:
        raise InvalidArgument(f"temperature={temperature!r} is not allowed with {choices_method.name}: it is greedy")
    Sampling.of({"seed": seed})
    node = Select(
        name=name, choices=checked, method=choices_method, temperature=float(warmth), seed=seed,
        timeout=timeout, priority=priority,
    )  # fmt: skip
    return Expr((node,))


def check_choices(choices: Sequence[str] | None) -> tuple[str, ...]:
    """The choices of a select.

    Raises:
        InvalidArgument: none, an empty one, or two alike.
    """
    if choices is None or isinstance(choices, str) or not list(choices):
        raise InvalidArgument(f"choices={choices!r} is not allowed: a list of at least one string")
    for choice in choices:
        if not isinstance(choice, str) or not choice:
            raise InvalidArgument(f"choices: {choice!r} is not allowed: a non-empty string")
    if len(set(choices)) < len(list(choices)):
        raise InvalidArgument(f"choices={list(choices)!r} is not allowed: two are alike")
    return tuple(choices)


def check_call(name: object, priority: object, timeout: object) -> None:
    """Refuses what no gen and no select can have.

    Raises:
        InvalidArgument: naming the argument, its value and what is allowed.
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise InvalidArgument(f"name={name!r} is not allowed: a non-empty string or None")
    if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int)):
        raise InvalidArgument(f"priority={priority!r} is not allowed: an integer")
    check_timeout(timeout)


def check_timeout(timeout: object) -> None:
    """Refuses what limits nothing.

    Raises:
        InvalidArgument: it is neither None nor a number of seconds above 0.
    """
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise InvalidArgument(f"timeout={timeout!r} is not allowed: a number of seconds above 0")


def _only_constraint(given: dict[str, Any]) -> tuple[str | None, Any]:
    """Takes the one constraint out of a gen's arguments."""
    named = [key for key in CONSTRAINTS if key in given]
    if len(named) > 1:
        raise InvalidArgument(f"{named[0]} and {named[1]} are given together: at most one constraint is allowed")
    if not named:
        return None, None
    return named[0], given.pop(named[0])


def _checked_healing(token_healing: object) -> bool:
    if not isinstance(token_healing, bool):
        raise InvalidArgument(f"token_healing={token_healing!r} is not allowed: True or False")
    return token_healing


def _gen_choices(name: str | None, choices: Any, given: dict[str, Any], priority: Any, timeout: Any) -> Expr:
    """A gen with `choices` is a select: arguments that mean nothing there are refused, not dropped."""
    kept = {key: given.pop(key) for key in ("temperature", "seed", "choices_method") if key in given}
    if given.pop("return_logprob", True) is not True:
        raise InvalidArgument("return_logprob=False is not allowed together with choices: a select always has them")
    if given:
        raise InvalidArgument(f"{min(given)} means nothing together with choices")
    return select(name, choices, priority=priority, timeout=timeout, **kept)


def _constraint(chosen: str | None, value: Any, sampling: Sampling) -> tuple[Spec | None, Typed | None]:
    from grammars.errors import InvalidSpec, UnsupportedConstraint

    try:
        if chosen == "dtype":
            return _spec("regex", dtype_pattern(value, sampling.stop or ())), None
        if chosen == "type":
            parser = typed(value)
            return parser.constraint, parser
        return (None if chosen is None else _spec(chosen, value)), None
    except (InvalidSpec, TypeError, re.error) as error:
        written = f"={value!r:.80}" if isinstance(error, re.error) else ""
        reason = str(error).removeprefix(f"{chosen}: ")  # some say themselves what they are about
        raise InvalidArgument(f"{chosen}{written}: {reason}") from error
    except UnsupportedConstraint as error:
        raise NotSupported(f"{chosen}: {error}") from error


def _spec(chosen: str, value: Any) -> Spec:
    """The spec of an argument that is one; what a grammar says is only looked at when it is compiled."""
    from grammars.spec import Gbnf, JsonSchema, Lark, Regex, Spec, StructuralTag

    if chosen == "regex":
        re.compile(value)  # what cannot even be read is refused here, the rest when it is compiled
        return Regex(value)
    if chosen == "json_schema":
        return JsonSchema.of(value.model_json_schema() if hasattr(value, "model_json_schema") else value)
    if chosen == "structural_tag":
        return StructuralTag.of(value)
    if chosen == "lark":
        return Lark(value)
    return value if isinstance(value, Spec) else Gbnf(value)
