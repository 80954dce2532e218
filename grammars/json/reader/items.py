"""The keywords about arrays."""

from __future__ import annotations

from grammars.json.node import FALSE, TRUE, CountItems, CountMatching, Distinct, Node
from grammars.json.reader.site import Site

__all__ = ["contains", "count_items", "items", "num_prefix", "unique_items"]


def num_prefix(site: Site) -> int:
    """How many items have a schema of their own: `prefixItems`, or `items` as older drafts have it."""
    return sum(1 for _ in site.sequence(prefix_keyword(site)))


def prefix_keyword(site: Site) -> str:
    """Which keyword gives the first items."""
    if not isinstance(site.schema.get("items"), list):
        return "prefixItems"
    if "prefixItems" in site.schema:
        raise site.invalid("items", "a schema, as it must be beside prefixItems")
    return "items"


def rest_keyword(site: Site) -> str:
    """Which keyword gives the items after those; `additionalItems` only counts beside a list of `items`."""
    return "additionalItems" if isinstance(site.schema.get("items"), list) else "items"


def items(site: Site) -> Node:
    """`prefixItems`, `items`, `additionalItems`."""
    every, negated = site.builder.logic.every_item, site.negated
    parts: list[Node] = []
    for index, (schema, path) in enumerate(site.sequence(prefix_keyword(site))):
        parts.append(every(index, index, site.inside(schema, path, negated), negated))
    rest = rest_keyword(site)
    if rest in site.schema:
        parts.append(every(len(parts), None, site.inside(site.schema[rest], "/" + rest, negated), negated))
    return site.join(parts)


def contains(site: Site) -> Node:
    """`contains`, `minContains`, `maxContains`."""
    if "contains" not in site.schema:
        return FALSE if site.negated else TRUE
    low, high = site.count("minContains"), site.count("maxContains")
    low = 1 if low is None else low
    schema, negated = site.schema["contains"], site.negated
    if low == 1 and high is None:
        if negated:
            return site.demanding(
                "array", site.builder.logic.every_item(0, None, site.inside(schema, "/contains", True))
            )
        found = site.builder.logic.every_item(0, None, site.inside(schema, "/contains", False), True)
        return site.vacuous("array", found)
    if high is not None and high < low:
        return site.counted("array", CountItems, low, high)
    make, logic = site.builder.nodes.make, site.builder.logic
    both = site.inside(schema, "/contains", False), site.inside(schema, "/contains", True)
    if not negated:
        return TRUE if low == 0 and high is None else make(CountMatching, *both, low, high)
    outside: list[Node] = [make(CountMatching, *both, 0, low - 1)] if low else []
    if high is not None:
        outside.append(make(CountMatching, *both, high + 1, None))
    return site.demanding("array", logic.any_of(outside))


def unique_items(site: Site) -> Node:
    """`uniqueItems`."""
    value = site.schema["uniqueItems"]
    if not isinstance(value, bool):
        raise site.invalid("uniqueItems", "true or false")
    if not value:
        return FALSE if site.negated else TRUE
    node = site.builder.nodes.make(Distinct, site.negated)
    return site.demanding("array", node) if site.negated else node


def count_items(site: Site) -> Node:
    """`minItems` and `maxItems`."""
    return site.counted("array", CountItems, site.count("minItems") or 0, site.count("maxItems"))
