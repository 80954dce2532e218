"""Room: how many tokens a graph's sequences can have at most, so that most runs need no closer look at the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgdsl.ir import Arg, Call, Gen, Graph, RoleBegin, RoleEnd, Select, Text
from sgdsl.passes.lifetimes import DEFAULT_MAX_TOKENS

__all__ = ["Room", "room"]


@dataclass(frozen=True, slots=True)
class Room:
    """All streams and called programs together; text that only the run makes is left out, as `budget` leaves it out.

    Attributes:
        constant: tokens of constant texts, choices, and gens that say how many they write. A byte is a token at most.
        num_defaults: gens that do not say.
        arguments: how often each argument is appended.
    """

    constant: int
    num_defaults: int
    arguments: Mapping[str, int]

    def most(self, arguments: Mapping[str, Any], max_tokens: int | None = None) -> int:
        """Tokens in a run with these arguments, and this default for gens that do not say."""
        found = self.constant + self.num_defaults * (DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens)
        for name, times in self.arguments.items():
            value = arguments.get(name)
            if isinstance(value, str):
                found += times * len(value.encode(errors="surrogatepass"))
        return found


def room(graph: Graph) -> Room:
    """What a graph whose roles are expanded needs at most."""
    constant, num_defaults, arguments = 0, 0, Counter[str]()
    for instruction in graph.instructions:
        node = instruction.node
        if isinstance(node, Text | RoleBegin | RoleEnd):
            constant += len((node.text or "").encode(errors="surrogatepass"))
        elif isinstance(node, Arg):
            arguments[node.name] += 1
        elif isinstance(node, Gen):
            constant += node.sampling.max_tokens or 0
            num_defaults += node.sampling.max_tokens is None
        elif isinstance(node, Select):
            constant += max(len(choice.encode(errors="surrogatepass")) for choice in node.choices)
        elif isinstance(node, Call):
            constant += room(node.graph).most({}, node.sampling.max_tokens)
    return Room(constant, num_defaults, arguments)
