"""Property names as a language, for `propertyNames`."""

from __future__ import annotations

from grammars.json.node import All, Any, IsType, Node, Some, SomeItem, StringIn, StringLength
from grammars.regular.language import Language, Languages

__all__ = ["name_language"]


def name_language(node: Node, languages: Languages) -> Language:
    """The strings that satisfy a node, which must hold no references."""
    if isinstance(node, All):
        return languages.intersect(*(name_language(item, languages) for item in node.items))
    if isinstance(node, Any):
        return languages.union(*(name_language(item, languages) for item in node.items))
    if isinstance(node, StringIn):
        return node.language
    if isinstance(node, StringLength):
        return languages.repeat(languages.any_char, node.low, node.high)
    if isinstance(node, IsType):
        return languages.everything if "string" in node.types else languages.nothing
    return languages.nothing if isinstance(node, Some | SomeItem) else languages.everything
