"""Which of several nodes can never hold for the same value: a cheap proof, for `oneOf`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from grammars.json.node import (
    FALSE,
    TRUE,
    All,
    Any,
    Every,
    IsType,
    JsonType,
    KeySet,
    Node,
    NumberIn,
    Some,
    StringIn,
)
from grammars.json.reader.logic import EVERYTHING, Logic
from grammars.regular.language import Language

__all__ = ["Exclusion"]

MAX_DEPTH = 4
MAX_OPTIONS = 16
MAX_LENGTH = 64
COST = 4
"""What looking at one pair takes off the budget."""


@dataclass(slots=True)
class Facts:
    """What surely holds for each value of a node; as it begins, what holds for any value.

    `texts`: a string is one of these. `properties`: what the value of a property satisfies where an object has it.
    `only`: an object has no names but these. `choices`: one of the options holds.
    """

    kinds: frozenset[JsonType] = EVERYTHING
    texts: frozenset[str] | None = None
    languages: list[Language] = field(default_factory=list)
    ranges: list[NumberIn] = field(default_factory=list)
    required: dict[str, None] = field(default_factory=dict)
    properties: dict[str, list[Node]] = field(default_factory=dict)
    only: list[KeySet] = field(default_factory=list)
    choices: list[Any] = field(default_factory=list)


class Exclusion:
    """Finds out which of some nodes exclude each other. What it cannot tell at little cost, it does not claim.

    Args:
        nodes: the nodes to compare.
        logic: its budget is charged for every pair that is looked at.
        kinds: the kinds of values that matter; others are no part of the comparison.
    """

    def __init__(self, nodes: Sequence[Node], logic: Logic, kinds: frozenset[JsonType] = EVERYTHING) -> None:
        self._logic = logic
        self._kinds = kinds
        self._facts: dict[Node, Facts] = {}
        self._nodes = nodes

    def overlaps(self) -> list[list[int]]:
        """For each node the indices of the others that may hold together with it, ascending."""
        facts = [replace(found, kinds=found.kinds & self._kinds) for found in map(self._of, self._nodes)]
        overlaps: list[list[int]] = [[] for _ in facts]
        if any(self._all_tagged(facts, name) for name in facts[0].required) if facts else True:
            return overlaps
        self._logic.spend(COST * len(facts) * (len(facts) - 1) // 2)
        for index, one in enumerate(facts):
            for other in range(index):
                if not self._exclusive(one, facts[other], 0):
                    overlaps[index].append(other)
                    overlaps[other].append(index)
        for others in overlaps:
            others.sort()
        return overlaps

    def _all_tagged(self, facts: Sequence[Facts], name: str) -> bool:
        """Whether all are objects with that property, a string, and no two have a text for it in common."""
        seen: set[str] = set()
        num_texts = 0
        for one in facts:
            if one.kinds != {"object"} or name not in one.required or name not in one.properties:
                return False
            value = self._together(one.properties[name])
            if value.kinds != {"string"} or value.texts is None:
                return False
            seen |= value.texts
            num_texts += len(value.texts)
        return num_texts == len(seen)

    def _of(self, node: Node) -> Facts:
        facts = self._facts.get(node)
        if facts is None:
            facts = self._facts[node] = Facts()
            for item in node.items if isinstance(node, All) else (node,):
                self._learn(facts, item)
        return facts

    def _together(self, nodes: Sequence[Node]) -> Facts:
        if len(nodes) == 1:
            return self._of(nodes[0])
        facts = Facts()
        for node in nodes:
            for item in node.items if isinstance(node, All) else (node,):
                self._learn(facts, item)
        return facts

    def _learn(self, facts: Facts, node: Node) -> None:
        """Adds what a part of a conjunction says."""
        if isinstance(node, IsType):
            facts.kinds &= node.types
        elif isinstance(node, StringIn):
            texts = self._texts(node.language)
            if texts is None:
                facts.languages.append(node.language)
            else:
                facts.texts = texts if facts.texts is None else facts.texts & texts
        elif isinstance(node, NumberIn):
            facts.ranges.append(node)
        elif isinstance(node, Some):
            facts.kinds &= {"object"}
            if len(node.keys.names) == 1 and not node.keys.patterns and not node.keys.negated:
                facts.required[node.keys.names[0]] = None
        elif isinstance(node, Every):
            self._learn_every(facts, node)
        elif isinstance(node, Any):
            self._learn_choice(facts, node)

    def _texts(self, language: Language) -> frozenset[str] | None:
        """The texts of a language made from constants, or of a pattern such as `^word$`."""
        known = self._logic.texts
        if language not in known and (text := _only_text(language)) is not None:
            known[language] = frozenset((text,))
        return known.get(language)

    @staticmethod
    def _learn_every(facts: Facts, node: Every) -> None:
        keys = node.keys
        if keys.negated:
            if node.node is FALSE:
                facts.only.append(keys)
        elif node.node is not TRUE:
            for name in keys.names:
                facts.properties.setdefault(name, []).append(node.node)

    def _learn_choice(self, facts: Facts, node: Any) -> None:
        if len(node.items) > MAX_OPTIONS:
            return
        kinds: frozenset[JsonType] = frozenset()
        for option in node.items:
            kinds |= self._of(option).kinds
        facts.kinds &= kinds
        facts.choices.append(node)

    def _exclusive(self, one: Facts, other: Facts, depth: int) -> bool:
        """Whether no value can be as both say."""
        if all(self._exclusive_as(kind, one, other, depth) for kind in one.kinds & other.kinds):
            return True
        if depth >= MAX_DEPTH:
            return False
        return self._choices_exclude(one, other, depth + 1) or self._choices_exclude(other, one, depth + 1)

    def _choices_exclude(self, one: Facts, other: Facts, depth: int) -> bool:
        return any(
            all(self._exclusive(self._of(option), other, depth) for option in choice.items) for choice in one.choices
        )

    def _exclusive_as(self, kind: JsonType, one: Facts, other: Facts, depth: int) -> bool:
        """Whether no value of that kind can be as both say."""
        if kind == "string":
            return self._no_text(one, other) or self._no_text(other, one)
        if kind == "number":
            return any(_apart(a, b) for a in one.ranges for b in other.ranges)
        if kind == "object" and depth < MAX_DEPTH:
            return self._clash(one, other, depth) or self._clash(other, one, depth)
        return False

    def _no_text(self, one: Facts, other: Facts) -> bool:
        if one.texts is None:
            return False
        if other.texts is not None:
            return one.texts.isdisjoint(other.texts)
        return bool(other.languages) and not any(
            all(language.contains(text) for language in other.languages) for text in one.texts
        )

    def _clash(self, one: Facts, other: Facts, depth: int) -> bool:
        """Whether a property that one demands cannot be as the other says."""
        for name in one.required:
            if any(not self._contains(keys, name) for keys in other.only):
                return True
            theirs = other.properties.get(name)
            if theirs is None:
                continue
            if FALSE in theirs:
                return True
            ours = one.properties.get(name)
            if ours and self._exclusive(self._together(ours), self._together(theirs), depth + 1):
                return True
        return False

    @staticmethod
    def _contains(keys: KeySet, name: str) -> bool:
        return name in keys.names or any(language.contains(name) for language in keys.patterns)


def _only_text(language: Language) -> str | None:
    """The text of a language that has just one, and a short one."""
    chars: list[str] = []
    while len(chars) <= MAX_LENGTH:
        moves = language.moves()
        if not moves:
            return "".join(chars) if language.nullable else None
        low, high, after = moves[0]
        if language.nullable or len(moves) > 1 or low != high:
            return None
        chars.append(chr(low))
        language = after
    return None


def _apart(one: NumberIn, other: NumberIn) -> bool:
    """Whether no number lies in both ranges."""
    return _below(one, other) or _below(other, one)


def _below(one: NumberIn, other: NumberIn) -> bool:
    if one.high is None or other.low is None:
        return False
    return one.high < other.low or (one.high == other.low and (one.high_open or other.low_open))
