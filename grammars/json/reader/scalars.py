"""The keywords about types, numbers and strings."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from grammars.json.node import (
    FALSE,
    TRUE,
    JsonType,
    MultipleOf,
    Node,
    NumberIn,
    StringIn,
    StringLength,
    WrittenWhole,
)
from grammars.json.reader.logic import EVERYTHING
from grammars.json.reader.site import Site
from grammars.regular.language import Language

__all__ = ["bounds", "format_", "length", "multiple_of", "pattern", "type_"]

KINDS: dict[str, tuple[JsonType, ...]] = {
    "null": ("null",),
    "boolean": ("false", "true"),
    "integer": ("number",),
    "number": ("number",),
    "string": ("string",),
    "array": ("array",),
    "object": ("object",),
}
PARTIAL_FORMATS = ("hostname", "idn-hostname", "regex")
"""Formats whose languages leave out some valid strings, which their complements then contain."""
ONE = Decimal(1)
SPELLED_INTEGERS = (3, 4)
"""Drafts in which 1.0 is no integer."""


def type_(site: Site) -> Node:
    """`type`, and OpenAPI's `nullable`."""
    names = _named(site)
    kinds = {kind for name in names for kind in KINDS[name]}
    if site.nullable:
        kinds.add("null")
    logic = site.builder.logic
    if "integer" not in names or "number" in names:
        return logic.is_type(EVERYTHING - kinds if site.negated else kinds)
    whole = _whole(site)
    if not site.negated:
        return logic.all_of((logic.is_type(kinds), whole))
    return logic.any_of((logic.is_type(EVERYTHING - kinds), logic.all_of((logic.is_type(("number",)), whole))))


def _named(site: Site) -> Sequence[str]:
    """The types that `type` names."""
    value = site.schema["type"]
    if isinstance(value, str) and value in KINDS:
        return (value,)
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise site.invalid("type", "a type or a list of types")
    wrong = next((name for name in names if name not in KINDS), None)
    if wrong is not None:
        raise site.invalid("type", f"one of {', '.join(KINDS)}", wrong)
    return names


def _whole(site: Site) -> Node:
    """A number is an integer, in the site's sign: a matter of its value since draft 6, of its spelling before."""
    make = site.builder.nodes.make
    if site.resource.draft in SPELLED_INTEGERS:
        return make(WrittenWhole, site.negated)
    return make(MultipleOf, ONE, site.negated)


def bounds(site: Site) -> Node:
    """`minimum`, `maximum`, and the exclusive ones, as numbers or (draft 4) as booleans."""
    low, low_open = _bound(site, "minimum", "exclusiveMinimum", 1)
    high, high_open = _bound(site, "maximum", "exclusiveMaximum", -1)
    nodes, logic = site.builder.nodes, site.builder.logic
    if low is None and high is None:
        return FALSE if site.negated else TRUE
    if not site.negated:
        return nodes.make(NumberIn, low, high, low_open, high_open)
    outside: list[Node] = [] if low is None else [nodes.make(NumberIn, None, low, False, not low_open)]
    if high is not None:
        outside.append(nodes.make(NumberIn, high, None, not high_open, False))
    return site.demanding("number", logic.any_of(outside))


def _bound(site: Site, keyword: str, exclusive: str, sign: int) -> tuple[Decimal | None, bool]:
    """The tighter of two bounds and whether it is exclusive; `sign` is 1 for lower ones, -1 for upper ones."""
    closed = _finite(site, keyword, sign)
    if isinstance(site.schema.get(exclusive), bool):
        return closed, closed is not None and site.schema[exclusive] is True
    strict = _finite(site, exclusive, sign)
    if strict is None or (closed is not None and (closed > strict if sign > 0 else closed < strict)):
        return closed, False
    return strict, True


def _finite(site: Site, keyword: str, sign: int) -> Decimal | None:
    """A bound; None also for an infinite one that holds for every number."""
    value = site.number(keyword)
    if value is None or value.is_finite():
        return value
    if value * sign > 0:  # a number text that overflowed, such as `"minimum": 1e999`
        raise site.invalid(keyword, "a finite number")
    return None


def multiple_of(site: Site) -> Node:
    """`multipleOf`."""
    step = site.number("multipleOf")
    if step is None or not step.is_finite() or step <= 0:
        raise site.invalid("multipleOf", "a number greater than 0")
    node = site.builder.nodes.make(MultipleOf, step, site.negated)
    return site.demanding("number", node) if site.negated else node


def length(site: Site) -> Node:
    """`minLength` and `maxLength`, in code points."""
    return site.counted("string", StringLength, site.count("minLength") or 0, site.count("maxLength"))


def pattern(site: Site) -> Node:
    """`pattern`: some part of the string matches."""
    language = site.builder.pattern(site.text("pattern"), site.place + "/pattern", either=site.negated)
    return _string_in(site, language)


def format_(site: Site) -> Node:
    """`format`; one that is not known says nothing."""
    name = site.text("format")
    language = site.builder.format(name, site.place)
    if language is None:
        return FALSE if site.negated else TRUE
    if site.negated and name in PARTIAL_FORMATS:
        site.builder.warn(f"format at {site.place or '/'}: what is no {name!r} here may be an unusual one")
    return _string_in(site, language)


def _string_in(site: Site, language: Language) -> Node:
    nodes = site.builder.nodes
    if not site.negated:
        return nodes.make(StringIn, language)
    return site.demanding("string", nodes.make(StringIn, site.builder.languages.complement(language)))
