"""Response format: every way to ask for a text of a certain form, as a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from grammars import Choice, JsonObject, JsonSchema, Regex, Spec
from grammars.errors import GrammarError
from grammars.spec import Gbnf, Lark, StructuralTag
from runtime.server.errors import ApiError, bad_request
from runtime.server.openai.closing import closed
from runtime.server.openai.requests import GenerationRequest, ResponseFormat, StructuredOutputs

__all__ = ["constraint_of", "made"]


def constraint_of(request: GenerationRequest) -> Spec | None:
    """The spec a request asks for, by whichever of its fields.

    Raises:
        ApiError: more than one is given, or it makes no spec; `param` names the field.
    """
    found: dict[str, Callable[[], Spec]] = {}
    for name, make in _TOP_LEVEL.items():
        if (value := getattr(request, name)) is not None:
            found[name] = lambda make=make, value=value: make(value)  # type: ignore[misc]
    if request.response_format is not None and request.response_format.type != "text":
        found["response_format"] = _of_format(request.response_format)
    if request.structured_outputs is not None:
        for name, make_one in _of_structured(request.structured_outputs):
            found[f"structured_outputs.{name}"] = make_one
    if not found:
        return None
    first, *others = found
    if others:
        raise bad_request(others[0], f"{others[0]}: {first} is given too; a text follows one of them")
    return made(first, found[first])


def made(param: str, make: Callable[[], Spec]) -> Spec:
    """A spec; where it cannot be made, the error names the field."""
    try:
        return make()
    except GrammarError as error:
        raise bad_request(param, f"{param}: {error}", "invalid_grammar") from None


def _grammar(text: str) -> Spec:
    """GBNF (also called EBNF) writes `::=`, Lark does not."""
    return Gbnf(text) if "::=" in text else Lark(text)


_TOP_LEVEL: Mapping[str, Callable[[Any], Spec]] = MappingProxyType(
    {"regex": Regex, "ebnf": _grammar, "json_schema": JsonSchema.of, "structural_tag": StructuralTag.of}
)
_BY_TYPE: Mapping[str, tuple[str, Callable[[Any], Spec]]] = MappingProxyType(
    {
        "regex": ("regex", Regex),
        "lark": ("lark", Lark),
        "ebnf": ("ebnf", _grammar),
        "gbnf": ("gbnf", Gbnf),
        "grammar": ("grammar", _grammar),
    }
)
"""Types beyond OpenAI's: the field that holds the text, which may also be called `pattern` or `value`."""


def _of_format(given: ResponseFormat) -> Callable[[], Spec]:
    extra = given.model_extra or {}
    if given.type == "json_object":
        return lambda: JsonObject()
    if given.type == "json_schema":
        return _json_schema(given)
    if given.type == "structural_tag":
        return lambda: StructuralTag.of({name: value for name, value in extra.items() if name != "type"})
    if given.type not in _BY_TYPE:
        allowed = ", ".join(("text", "json_object", "json_schema", "structural_tag", *_BY_TYPE))
        raise bad_request("response_format.type", f"response_format.type: {given.type!r} is none of {allowed}")
    name, make = _BY_TYPE[given.type]
    value = next((extra[one] for one in (name, "pattern", "value", "definition") if one in extra), None)
    if not isinstance(value, str):
        raise bad_request(f"response_format.{name}", f"response_format.{name}: a string is needed")
    return lambda: make(value)


def _json_schema(given: ResponseFormat) -> Callable[[], Spec]:
    extra = given.model_extra or {}
    shape = given.json_schema if given.json_schema is not None else extra
    schema = shape.get("schema")
    if not isinstance(schema, dict | bool):
        raise _no_schema("response_format.json_schema.schema")
    return lambda: JsonSchema.of(closed(schema))


def _no_schema(param: str) -> ApiError:
    return bad_request(param, f"{param}: a JSON schema, which is an object, is needed")


def _of_structured(given: StructuredOutputs) -> list[tuple[str, Callable[[], Spec]]]:
    makers: dict[str, tuple[Any, Callable[[Any], Spec]]] = {
        "json": (given.json_, JsonSchema.of),
        "regex": (given.regex, Regex),
        "choice": (given.choice, lambda options: Choice(tuple(options))),
        "grammar": (given.grammar, _grammar),
        "json_object": (given.json_object or None, lambda _: JsonObject()),
        "structural_tag": (given.structural_tag, StructuralTag.of),
    }
    return [
        (name, lambda make=make, value=value: make(value))  # type: ignore[misc]
        for name, (value, make) in makers.items()
        if value is not None
    ]
