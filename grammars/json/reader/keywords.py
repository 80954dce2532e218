"""The keywords that restrict values: which kind of value each is about, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from grammars.json.node import Node
from grammars.json.reader.applicators import all_of, any_of, const, enum, if_, not_, one_of, outdated, reference
from grammars.json.reader.evaluated import unevaluated_items, unevaluated_properties
from grammars.json.reader.items import contains, count_items, items, unique_items
from grammars.json.reader.properties import (
    additional_properties,
    count_properties,
    dependencies,
    dependent_required,
    dependent_schemas,
    pattern_properties,
    properties,
    property_names,
    required,
)
from grammars.json.reader.scalars import bounds, format_, length, multiple_of, pattern, type_
from grammars.json.reader.site import Site

__all__ = ["KEYWORDS", "Keyword"]


class Keyword(NamedTuple):
    """What reads a keyword (with others it belongs to), and whether it says anything about property names."""

    read: Callable[[Site], Node]
    about_names: bool


def _keywords(about_names: bool, **readers: Callable[[Site], Node]) -> dict[str, Keyword]:
    return {name.strip("_"): Keyword(read, about_names) for name, read in readers.items()}


KEYWORDS: Mapping[str, Keyword] = {
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef"), Keyword(reference, True)),
    **_keywords(True, type=type_, const=const, enum=enum, pattern=pattern, format=format_),
    **_keywords(True, allOf=all_of, anyOf=any_of, oneOf=one_of, not_=not_, if_=if_),
    **_keywords(True, extends=outdated, disallow=outdated, divisibleBy=outdated),
    **_keywords(True, minLength=length, maxLength=length),
    **_keywords(False, minimum=bounds, maximum=bounds, exclusiveMinimum=bounds, exclusiveMaximum=bounds),
    **_keywords(False, multipleOf=multiple_of),
    **_keywords(False, properties=properties, patternProperties=pattern_properties, required=required),
    **_keywords(False, additionalProperties=additional_properties, propertyNames=property_names),
    **_keywords(False, minProperties=count_properties, maxProperties=count_properties),
    **_keywords(False, dependentRequired=dependent_required, dependentSchemas=dependent_schemas),
    **_keywords(False, dependencies=dependencies, unevaluatedProperties=unevaluated_properties),
    **_keywords(False, items=items, prefixItems=items, additionalItems=items, uniqueItems=unique_items),
    **_keywords(False, contains=contains, minContains=contains, maxContains=contains),
    **_keywords(False, minItems=count_items, maxItems=count_items, unevaluatedItems=unevaluated_items),
}
"""By name. What is not here says nothing about which values are valid."""
