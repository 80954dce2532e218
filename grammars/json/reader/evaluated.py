"""`unevaluatedProperties` and `unevaluatedItems`: about what no other subschema for the same value has looked at.

A subschema inside `anyOf`, `if` and the like counts only where it holds. So the names (or indices) are cut into cells
by which subschemas look at them, and for each cell either one of its subschemas holds or the keyword's schema does:
a plain formula, whose negation is as plain. It grows with the number of subschemas, not with their combinations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grammars.errors import UnsupportedConstraint
from grammars.json.node import FALSE, TRUE, KeySet, Node
from grammars.json.reader.document import Target
from grammars.json.reader.items import num_prefix, rest_keyword
from grammars.json.reader.properties import declared
from grammars.json.reader.reach import Condition, Reached, hold, reached
from grammars.json.reader.site import Scope, Site
from grammars.regular.language import Language

__all__ = ["unevaluated_items", "unevaluated_properties"]

MAX_PATTERNS = 8
MAX_CONTAINS = 6


def unevaluated_properties(site: Site) -> Node:
    """`unevaluatedProperties`."""
    looks = [(keys, found.condition) for found in reached(site) if (keys := _looked_at(found, site)) is not None]
    always = [condition for keys, condition in looks if keys == "all"]
    if () in always:
        return FALSE if site.negated else TRUE
    partial = [(keys, condition) for keys, condition in looks if isinstance(keys, KeySet)]
    node = site.inside(site.schema["unevaluatedProperties"], "/unevaluatedProperties", site.negated)
    every = site.builder.logic.every
    return site.join(
        _unless(site, every(keys, node, site.negated), [*always, *conditions])
        for keys, conditions in _cells(site, partial)
        if () not in conditions
    )


def _looked_at(found: Reached, site: Site) -> KeySet | str | None:
    """The properties a subschema looks at; "all" for every one, None for none."""
    schema = found.site.schema
    if found.site.only_reference:
        return None
    if "additionalProperties" in schema or ("unevaluatedProperties" in schema and found.site.place != site.place):
        return "all"
    if schema.get("properties") or schema.get("patternProperties"):
        return declared(found.site)
    return None


def _unless(site: Site, node: Node, conditions: Iterable[Condition]) -> Node:
    """The node, or any of the conditions, in the site's sign."""
    return site.builder.logic.meet((node, *(hold(condition, site) for condition in conditions)), site.negated)


def _cells(site: Site, looks: list[tuple[KeySet, Condition]]) -> Iterator[tuple[KeySet, list[Condition]]]:
    """Sets of names that together hold every name once, each with the conditions under which it is looked at."""
    names = list(dict.fromkeys(name for keys, _ in looks for name in keys.names))
    patterns = list(dict.fromkeys(pattern for keys, _ in looks for pattern in keys.patterns))
    groups: dict[tuple[Condition, ...], list[str]] = {}
    for name in names:
        held = dict.fromkeys(condition for keys, condition in looks if _holds(keys, name))
        groups.setdefault(tuple(held), []).append(name)
    for conditions, members in groups.items():
        yield KeySet(tuple(members)), list(conditions)
    yield from _pattern_cells(site, names, patterns, looks)
    yield KeySet(tuple(names), tuple(patterns), negated=True), []


def _holds(keys: KeySet, name: str) -> bool:
    return name in keys.names or any(pattern.contains(name) for pattern in keys.patterns)


def _pattern_cells(
    site: Site, names: list[str], patterns: list[Language], looks: list[tuple[KeySet, Condition]]
) -> Iterator[tuple[KeySet, list[Condition]]]:
    """The names that match some pattern and are not given as such."""
    if all(condition == () for keys, condition in looks if keys.patterns):
        return  # all of them are looked at in any case
    if len(patterns) > MAX_PATTERNS:
        reason = f"more than {MAX_PATTERNS} patternProperties in subschemas that may not hold"
        raise UnsupportedConstraint("unevaluatedProperties", site.place, reason)
    languages = site.builder.languages
    cells: list[tuple[Language, list[Language]]] = [(languages.complement(languages.literals(names)), [])]
    for pattern in patterns:
        inside = [(languages.intersect(language, pattern), [*matched, pattern]) for language, matched in cells]
        outside = languages.complement(pattern)
        cells = [(languages.intersect(language, outside), matched) for language, matched in cells]
        cells += (cell for cell in inside if not languages.is_empty(cell[0]))
    for language, matched in cells:
        if matched:
            conditions = dict.fromkeys(
                condition for keys, condition in looks if not set(matched).isdisjoint(keys.patterns)
            )
            yield KeySet((), (language,)), list(conditions)


def unevaluated_items(site: Site) -> Node:
    """`unevaluatedItems`; since draft 2020-12 `contains` looks at the items that it matches."""
    found = list(reached(site))
    looks = [(last, one.condition) for one in found if (last := _looked_to(one, site)) != 0]
    always = [condition for last, condition in looks if last is None]
    if () in always:
        return FALSE if site.negated else TRUE
    ends = sorted({last for last, _ in looks if last is not None})
    matches = [_matched(one) for one in found if _has_contains(one)]
    parts = []
    for first, last in zip((0, *ends), (*ends, None), strict=True):
        conditions = [*always, *(condition for end, condition in looks if end is not None and end > first)]
        if () not in conditions:
            items = _items(site, first, None if last is None else last - 1, matches)
            parts.append(_unless(site, items, dict.fromkeys(conditions)))
    return site.join(parts)


def _looked_to(found: Reached, site: Site) -> int | None:
    """How many items from the first on a subschema looks at; None for all."""
    schema = found.site.schema
    if found.site.only_reference:
        return 0
    if rest_keyword(found.site) in schema or ("unevaluatedItems" in schema and found.site.place != site.place):
        return None
    return num_prefix(found.site)


def _has_contains(found: Reached) -> bool:
    site = found.site
    return "contains" in site.schema and not site.only_reference and (site.resource.draft or 2020) >= 2020


def _matched(found: Reached) -> tuple[Target, Scope, Condition]:
    return found.site.target(found.site.schema["contains"], "/contains"), found.site.scope, found.condition


def _items(site: Site, first: int, last: int | None, matches: list[tuple[Target, Scope, Condition]]) -> Node:
    """Each item in a range is matched by a `contains` that counts, or satisfies the keyword's schema."""
    builder, negated = site.builder, site.negated
    conditions = list(dict.fromkeys(condition for _, _, condition in matches if condition))
    if len(conditions) > MAX_CONTAINS:
        reason = f"more than {MAX_CONTAINS} contains in subschemas that may not hold"
        raise UnsupportedConstraint("unevaluatedItems", site.place, reason)
    own = site.inside(site.schema["unevaluatedItems"], "/unevaluatedItems", negated)
    ways = []
    for chosen in range(1 << len(conditions)):
        holding: set[Condition] = {condition for bit, condition in enumerate(conditions) if chosen >> bit & 1}
        matched = (
            builder.inner(target, scope, negated)
            for target, scope, condition in matches
            if not condition or condition in holding
        )
        item = builder.logic.meet((own, *matched), negated)
        held = (hold(condition, site) for condition in conditions if condition in holding)
        ways.append(site.join((builder.logic.every_item(first, last, item, negated), *held)))
    return builder.logic.meet(ways, negated)
