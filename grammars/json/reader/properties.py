"""The keywords about objects."""

from __future__ import annotations

from collections.abc import Iterable

from grammars.json.node import FALSE, TRUE, CountProperties, KeySet, Node
from grammars.json.reader.names import name_language
from grammars.json.reader.site import Site

__all__ = [
    "additional_properties",
    "count_properties",
    "declared",
    "dependencies",
    "dependent_required",
    "dependent_schemas",
    "pattern_properties",
    "properties",
    "property_names",
    "required",
]


def properties(site: Site) -> Node:
    """`properties`: each one by its name."""
    every, negated = site.builder.logic.every, site.negated
    return site.join(
        every(KeySet((name,)), site.inside(schema, path, negated), negated)
        for name, schema, path in site.mapping("properties")
    )


def pattern_properties(site: Site) -> Node:
    """`patternProperties`: each one whose name contains a match."""
    every, negated = site.builder.logic.every, site.negated
    return site.join(
        every(KeySet((), (site.builder.pattern(name, site.place + path),)), site.inside(schema, path, negated), negated)
        for name, schema, path in site.mapping("patternProperties")
    )


def declared(site: Site) -> KeySet:
    """The names that `properties` and `patternProperties` are about."""
    names = tuple(name for name, _, _ in site.mapping("properties"))
    patterns = site.mapping("patternProperties")
    return KeySet(names, tuple(site.builder.pattern(name, site.place + path) for name, _, path in patterns))


def additional_properties(site: Site) -> Node:
    """`additionalProperties`: those that `properties` and `patternProperties` are not about."""
    node = site.inside(site.schema["additionalProperties"], "/additionalProperties", site.negated)
    keys = declared(site)
    return site.builder.logic.every(KeySet(keys.names, keys.patterns, negated=True), node, site.negated)


def property_names(site: Site) -> Node:
    """`propertyNames`: no property has a name the schema does not hold for."""
    builder = site.builder
    target = site.target(site.schema["propertyNames"], "/propertyNames")
    language = name_language(builder.name_node(target, site.scope), builder.languages)
    listed = _listed(site.schema["propertyNames"])
    if listed is None:
        keys = KeySet((), (language,), negated=True)
    else:
        keys = KeySet(tuple(name for name in listed if builder.languages.accepts(language, name)), negated=True)
    return builder.logic.every(keys, TRUE if site.negated else FALSE, site.negated)


def _listed(schema: object) -> list[str] | None:
    """The names a schema for names lists, if it does so by itself."""
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("enum"), list):
        return list(dict.fromkeys(name for name in schema["enum"] if isinstance(name, str)))
    return [schema["const"]] if isinstance(schema.get("const"), str) else None


def required(site: Site) -> Node:
    """`required`: the object has all of these."""
    has, negated = site.builder.logic.has, site.negated
    node = site.join(has(name, negated) for name in site.names("required", site.schema["required"]))
    return site.demanding("object", node) if negated else site.vacuous("object", node)


def count_properties(site: Site) -> Node:
    """`minProperties` and `maxProperties`."""
    return site.counted("object", CountProperties, site.count("minProperties") or 0, site.count("maxProperties"))


def dependent_required(site: Site) -> Node:
    """`dependentRequired`: who has the one has the others."""
    return site.join(_needs(site, name, others, "") for name, others, _ in site.mapping("dependentRequired"))


def dependent_schemas(site: Site) -> Node:
    """`dependentSchemas`: the object is as the schema says if it has the property."""
    return site.join(_implies(site, name, schema, path) for name, schema, path in site.mapping("dependentSchemas"))


def dependencies(site: Site) -> Node:
    """`dependencies` of older drafts: both of the above in one."""
    return site.join(_dependencies(site))


def _dependencies(site: Site) -> Iterable[Node]:
    for name, needed, path in site.mapping("dependencies"):
        if isinstance(needed, dict | bool):
            yield _implies(site, name, needed, path)
        else:
            yield _needs(site, name, [needed] if isinstance(needed, str) else needed, path)


def _needs(site: Site, name: str, others: object, path: str) -> Node:
    keyword = "dependencies" if path else "dependentRequired"
    logic, negated = site.builder.logic, site.negated
    needed = site.join(logic.has(other, negated) for other in site.names(keyword, others))
    return logic.meet((logic.has(name, not negated), needed), negated)


def _implies(site: Site, name: str, schema: object, path: str) -> Node:
    logic, negated = site.builder.logic, site.negated
    return logic.meet((logic.has(name, not negated), site.here(schema, path, negated)), negated)
