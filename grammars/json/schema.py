"""The schema graph: a JSON Schema, read once and whole, as constraint nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from grammars.errors import GrammarLimit, InvalidSpec
from grammars.json.node import Node, Nodes
from grammars.json.reader.builder import Builder
from grammars.json.reader.document import Library, Target
from grammars.json.reader.logic import Logic
from grammars.regular.language import Languages

__all__ = ["Formats", "GraphLimits", "SchemaGraph"]

Formats: TypeAlias = Literal["assert", "annotate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphLimits:
    """How large a schema may be.

    Args:
        depth: how deep schemas may be nested, counting references that stand for the schema itself.
        schemas: how many subschemas all documents may have.
        items: how many items the nodes may have together, and how much work comparing them may be.
    """

    depth: int = 128
    schemas: int = 200_000
    items: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("depth", "schemas", "items"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {value!r} is not a whole number of at least 1")


class SchemaGraph:
    """A JSON Schema as a graph of constraints; every error there is comes up here, none later.

    Draft 2020-12, and what older drafts spell otherwise: `definitions`, `dependencies`, a list of `items` with
    `additionalItems`, booleans for `exclusiveMinimum`, `id`, `$recursiveRef`. Up to draft 7 (as `$schema` says)
    siblings of `$ref` are ignored; without a `$schema`, OpenAPI's `nullable` is heeded. Keywords that are not known
    are ignored, as the specification says.

    Args:
        schema: the document, parsed; it must not change afterwards.
        languages: the arena of the languages in the nodes.
        nodes: a table of nodes for this graph alone: references are told apart by their places.
        formats: "assert" if `format` restricts strings, "annotate" if it only says what they are.
        registry: other documents that references may lead to, parsed, by URI.

    Attributes:
        root: the node of the whole.
        warnings: what was ignored although it looks as if it was meant to matter.

    Raises:
        InvalidSpec: a keyword has a value it cannot have, or a reference points to nothing or back to itself.
        UnsupportedConstraint: a reference to a document that is not in the registry, a pattern that is not regular.
        GrammarLimit: the schema is too large or nested too deep, or the arena's deadline has passed.
    """

    def __init__(
        self,
        schema: object,
        languages: Languages,
        nodes: Nodes,
        *,
        formats: Formats = "assert",
        registry: Mapping[str, object] | None = None,
        limits: GraphLimits | None = None,
    ) -> None:
        if formats not in ("assert", "annotate"):
            raise InvalidSpec(f"formats: {formats!r} is not one of assert, annotate")
        limits = limits or GraphLimits()
        try:
            library = Library(schema, registry, max_depth=limits.depth, max_schemas=limits.schemas)
            logic = Logic(nodes, languages, limits.items)
            builder = Builder(library, logic, formats=formats == "assert", max_depth=limits.depth)
            self.root: Node = builder.finish(Target(schema, "", library.main))
        except RecursionError as error:
            raise GrammarLimit("json_schema: nested too deep") from error
        self.warnings: list[str] = builder.warnings
