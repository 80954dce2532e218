"""The subschemas that see the same value as a schema does, and under which conditions they count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from grammars.json.node import Node
from grammars.json.reader.document import Target
from grammars.json.reader.site import Scope, Site

__all__ = ["Condition", "Literal", "Reached", "hold", "reached"]


@dataclass(frozen=True, slots=True)
class Literal:
    """That a subschema holds (by its place), or that an object has a property; the opposite, when `negated`."""

    subject: str
    scope: Scope
    negated: bool = False
    target: Target | None = field(default=None, compare=False)


Condition = tuple[Literal, ...]
"""All of these; none for what must hold anyway."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A subschema whose annotations count where the condition holds."""

    site: Site
    condition: Condition


def reached(site: Site) -> Iterator[Reached]:
    """A schema and all that it applies to the same value, itself first; what is below `not` says nothing."""
    yield from _reached(site, (), ())


def _reached(site: Site, condition: Condition, path: tuple[str, ...]) -> Iterator[Reached]:
    if site.place in path:
        return  # a reference back to here without progress adds nothing
    yield Reached(site, condition)
    path = (*path, site.place)
    for target, scope, literals in _applied(site):
        below = site.builder.site(target, scope)
        if below is not None:
            yield from _reached(below, condition + literals, path)


def _applied(site: Site) -> Iterator[tuple[Target, Scope, Condition]]:
    """The subschemas one step away, each with the condition that the step adds."""
    scope = site.scope
    for keyword in site.references():
        yield *site.builder.locate(site, keyword), ()
    if site.only_reference:
        return
    for schema, path in site.sequence("allOf"):
        yield site.target(schema, path), scope, ()
    for keyword in ("anyOf", "oneOf"):
        for schema, path in site.sequence(keyword):
            target = site.target(schema, path)
            yield target, scope, (_literal(target, scope),)
    for keyword in ("dependentSchemas", "dependencies"):
        for name, schema, path in site.mapping(keyword):
            if isinstance(schema, dict):
                yield site.target(schema, path), scope, (Literal(name, scope),)
    if "if" in site.schema:
        yield from _branches(site)


def _branches(site: Site) -> Iterator[tuple[Target, Scope, Condition]]:
    test = site.target(site.schema["if"], "/if")
    yield test, site.scope, (_literal(test, site.scope),)
    for keyword, negated in (("then", False), ("else", True)):
        if keyword in site.schema:
            target = site.target(site.schema[keyword], "/" + keyword)
            yield target, site.scope, (_literal(test, site.scope, negated),)


def _literal(target: Target, scope: Scope, negated: bool = False) -> Literal:
    return Literal(target.place, scope, negated, target)


def hold(condition: Condition, site: Site) -> Node:
    """A condition as a node, in the site's sign."""
    builder, negated = site.builder, site.negated
    return builder.logic.join(
        (
            builder.logic.has(literal.subject, literal.negated != negated)
            if literal.target is None
            else builder.node(literal.target, literal.scope, literal.negated != negated)
            for literal in condition
        ),
        negated,
    )
