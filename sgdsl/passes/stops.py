"""Stops: stop strings that a constrained gen can never write, so that they mean nothing."""

from __future__ import annotations

from grammars.errors import GrammarError
from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language
from grammars.spec import Choice, JsonObject, JsonSchema, Regex, Spec
from sgdsl.ir import Call, Gen, Graph
from sgdsl.passes.finding import Finding

__all__ = ["stops"]

MAX_STATES = 2_000
"""Larger patterns are not looked into: a missed warning harms nobody."""


def stops(graph: Graph) -> list[Finding]:
    """Warnings for stop strings that no text of the gen's constraint contains."""
    found: list[Finding] = []
    for instruction in graph.instructions:
        node = instruction.node
        if isinstance(node, Call):
            found += stops(node.graph)
        if isinstance(node, Gen) and node.constraint is not None and node.reasoning is None:
            for stop in node.sampling.stop or ():
                if not _can_contain(node.constraint, stop):
                    what = f"gen {node.name or 'without a name'}"
                    message = (
                        f"{what}: stop={stop!r} can never come, for its {type(node.constraint).__name__} forbids it"
                    )
                    found.append(Finding("stops", message, instruction.source, "warning"))
    return found


def _can_contain(spec: Spec, stop: str) -> bool:
    if isinstance(spec, Choice):
        return any(stop in option for option in spec.options)
    if isinstance(spec, JsonSchema | JsonObject):  # JSON escapes control characters; only whitespace has them
        return spec.whitespace == "flexible" or not any(character < " " for character in stop)
    return not isinstance(spec, Regex) or _pattern_can_contain(spec.pattern, stop)


def _pattern_can_contain(pattern: str, stop: str) -> bool:
    languages = Languages(max_states=MAX_STATES)
    around = languages.concat(languages.everything, languages.literal(stop), languages.everything)
    try:
        return not languages.is_empty(languages.intersect(pattern_language(languages, pattern), around))
    except GrammarError:
        return True
