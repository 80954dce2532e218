"""The keywords that put schemas for the same value together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from grammars.json.node import FALSE, TRUE, Node
from grammars.json.reader.constants import one_of_values, read_values
from grammars.json.reader.exclusion import Exclusion
from grammars.json.reader.logic import EVERYTHING
from grammars.json.reader.site import Site

__all__ = ["all_of", "any_of", "const", "enum", "if_", "not_", "one_of", "outdated", "reference"]

ANNOTATIONS = frozenset(
    ("title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "enumNames")
)
"""Keywords that neither restrict a value nor hold a schema, as beside a constant; others are looked at in full."""


def const(site: Site) -> Node:
    """`const`."""
    return one_of_values(read_values((site.schema["const"],)).values(), site.builder.logic, site.negated)


def enum(site: Site) -> Node:
    """`enum`."""
    if not isinstance(site.schema["enum"], list):
        raise site.invalid("enum", "a list")
    return one_of_values(read_values(site.schema["enum"]).values(), site.builder.logic, site.negated)


def reference(site: Site) -> Node:
    """`$ref`, `$dynamicRef` and `$recursiveRef`, beside other keywords."""
    nodes = []
    for keyword in site.references():
        nodes.append(site.builder.follow(site, keyword))
    return site.join(nodes)


def all_of(site: Site) -> Node:
    """`allOf`."""
    return site.join(_branches(site, "allOf", site.negated))


def _branches(site: Site, keyword: str, negated: bool) -> list[Node]:
    """The nodes of a list of schemas. A loop, here and in `reference`: recursion comes through with fewer frames."""
    nodes = []
    for schema, path in site.sequence(keyword):
        nodes.append(site.here(schema, path, negated))
    return nodes


def any_of(site: Site) -> Node:
    """`anyOf`."""
    branches = list(site.sequence("anyOf"))
    listed = _listed(branches)
    if listed is not None:
        values = {key: value for branch in listed for key, value in branch.items()}
        return one_of_values(values.values(), site.builder.logic, site.negated)
    with site.builder.choice():
        nodes = _branches(site, "anyOf", site.negated)
    return site.builder.logic.meet(nodes, site.negated)


def one_of(site: Site) -> Node:
    """`oneOf`: one branch and none of the others, as far as two can hold at once at all."""
    branches = list(site.sequence("oneOf"))
    listed = _listed(branches)
    if listed is not None:
        counts = Counter(key for branch in listed for key in branch)
        values = (value for branch in listed for key, value in branch.items() if counts[key] == 1)
        return one_of_values(values, site.builder.logic, site.negated)
    logic = site.builder.logic
    nodes = _branches(site, "oneOf", False)
    overlaps = Exclusion(nodes, logic, EVERYTHING if site.sole is None else frozenset((site.sole,))).overlaps()
    logic.spend(sum(len(others) for others in overlaps))
    if site.negated:
        none = logic.all_of(_branches(site, "oneOf", True))
        two = (
            logic.all_of((node, logic.any_of(nodes[other] for other in others if other < index)))
            for index, (node, others) in enumerate(zip(nodes, overlaps, strict=True))
        )
        return logic.any_of((none, *two))
    alternatives = []
    for node, others in zip(nodes, overlaps, strict=True):
        opposites = (site.here(*branches[other], True) for other in others)
        alternatives.append(logic.all_of((node, *opposites)))
    return logic.any_of(alternatives)


def _listed(branches: list[tuple[object, str]]) -> list[dict[Hashable, object]] | None:
    """The values of each branch, if all do nothing but list some."""
    listed = []
    for schema, _ in branches:
        if not isinstance(schema, dict):
            return None
        keys = schema.keys() - ANNOTATIONS
        if keys == {"const"}:
            listed.append(read_values((schema["const"],)))
        elif keys == {"enum"} and isinstance(schema["enum"], list):
            listed.append(read_values(schema["enum"]))
        elif keys in ({"const", "type"}, {"enum", "type"}) and schema["type"] == "string":
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            if not isinstance(values, list):
                return None
            listed.append(read_values(value for value in values if isinstance(value, str)))
        else:
            return None
    return listed


def not_(site: Site) -> Node:
    """`not`."""
    return site.here(site.schema["not"], "/not", not site.negated)


def outdated(site: Site) -> Node:
    """`extends`, `disallow`, `divisibleBy`: keywords of draft 3 alone, which say nothing now; a warning says so."""
    for keyword in ("extends", "disallow", "divisibleBy"):
        if keyword in site.schema:
            site.builder.warn(f"{keyword} at {site.place or '/'}: a keyword of draft 3, which restricts nothing")
    return FALSE if site.negated else TRUE


def if_(site: Site) -> Node:
    """`if`, `then`, `else`; the last two say nothing by themselves."""
    schema, negated, logic = site.schema, site.negated, site.builder.logic
    if "if" not in schema or not ("then" in schema or "else" in schema):
        return FALSE if negated else TRUE
    holds = site.here(schema["if"], "/if", False)
    fails = site.here(schema["if"], "/if", True)
    then = site.here(schema.get("then", True), "/then", negated)
    otherwise = site.here(schema.get("else", True), "/else", negated)
    return logic.any_of((logic.all_of((holds, then)), logic.all_of((fails, otherwise))))
