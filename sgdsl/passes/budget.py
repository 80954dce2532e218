"""Budget: whether a program's text and what it generates fit the model's context, known before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sgdsl.ir import Call, Checkpoint, Concat, Fork, Gen, Graph, Instruction, Rollback, Select
from sgdsl.passes.finding import Finding
from sgdsl.passes.lifetimes import DEFAULT_MAX_TOKENS
from sgdsl.passes.units import Unit, units

__all__ = ["budget"]

Count = Callable[[str], int]
"""A text → how many tokens it is."""


@dataclass(frozen=True, slots=True)
class _Length:
    """Tokens of a stream so far: at least, and, where that is known, at most."""

    least: int = 0
    most: int | None = 0

    def plus(self, least: int, most: int | None) -> _Length:
        return _Length(self.least + least, None if most is None or self.most is None else self.most + most)


def budget(graph: Graph, count: Count, context_length: int, max_tokens: int | None = None) -> list[Finding]:
    """Gens and selects that the context has no room for, and gens it may cut short.

    Args:
        graph: with its roles expanded and, where they are known, its arguments in place.
        count: tokens of a text.
        context_length: tokens of the longest sequence.
        max_tokens: what the run gives to gens that do not say.
    """
    by_end: dict[int, list[Unit]] = {}
    for unit in units(graph):
        by_end.setdefault(unit.end, []).append(unit)
    default = DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens
    lengths, marks = {0: _Length()}, {}
    found: list[Finding] = []
    for index, instruction in enumerate(graph.instructions):
        stream, node = instruction.stream, instruction.node
        for unit in by_end.get(index, ()):
            lengths[stream] = lengths[stream].plus(*_size(unit, count))
        if isinstance(node, Gen):
            wanted = default if node.sampling.max_tokens is None else node.sampling.max_tokens
            found += _checked(instruction, lengths[stream], wanted, context_length)
            lengths[stream] = lengths[stream].plus(0, wanted)
        elif isinstance(node, Select):
            sizes = [count(choice) for choice in node.choices]
            found += _checked(instruction, lengths[stream], max(sizes), context_length)
            lengths[stream] = lengths[stream].plus(max(0, min(sizes) - 1), max(sizes))
        elif isinstance(node, Fork):
            lengths.update(dict.fromkeys(node.children, lengths[stream]))
        elif isinstance(node, Concat):
            lengths[stream] = lengths[stream].plus(0, None)
        elif isinstance(node, Checkpoint):
            marks[stream, node.index] = lengths[stream]
        elif isinstance(node, Rollback):
            lengths[stream] = marks[stream, node.index]
        elif isinstance(node, Call):
            found += budget(node.graph, count, context_length, node.sampling.max_tokens)
    return found


def _size(unit: Unit, count: Count) -> tuple[int, int | None]:
    if unit.text is not None:
        size = count(unit.text)
        return size, size
    known = [part for part in unit.parts if isinstance(part, str)]  # a neighbour may take a token of each into its own
    return sum(max(0, count(part) - 1) for part in known), None


def _checked(instruction: Instruction, length: _Length, wanted: int, context_length: int) -> list[Finding]:
    node = instruction.node
    what = f"{type(node).__name__.lower()} {getattr(node, 'name', None) or 'without a name'}"
    if length.least + min(wanted, 1) > context_length:
        message = f"{what}: at least {length.least} tokens stand before it, and context_length is {context_length}"
        return [Finding("budget", message, instruction.source)]
    if length.most is not None and length.most + wanted > context_length:
        message = (
            f"{what}: up to {length.most} tokens before it and max_tokens={wanted} are more than"
            f" context_length={context_length}: it may be cut short"
        )
        return [Finding("budget", message, instruction.source, "warning")]
    return []
