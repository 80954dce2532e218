"""Estimate: what a graph will cost, as far as that can be told before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sgdsl.ir import Call, Checkpoint, Fork, Gen, Graph, Rollback, Select
from sgdsl.passes.calls import calls_of
from sgdsl.passes.constant_prefix import constant_prefix
from sgdsl.passes.lifetimes import DEFAULT_MAX_TOKENS
from sgdsl.passes.units import units

__all__ = ["BYTES_PER_TOKEN", "Estimate", "estimate"]

BYTES_PER_TOKEN = 4
"""Of English text, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Numbers of tokens; text that is not known counts as none.

    Attributes:
        gens, selects, programs: calls of the model, and of other programs.
        rounds: calls that have to wait for one another; those of a round can run side by side.
        streams: lines of execution.
        prefix_tokens: what every run begins with.
        prompt_tokens: before all calls, each counted by itself, as a server without a cache would compute them.
        computed_tokens: of those, what is left when every text is computed once.
        generated_tokens: at most.
    """

    gens: int
    selects: int
    programs: int
    rounds: int
    streams: int
    prefix_tokens: int
    prompt_tokens: int
    computed_tokens: int
    generated_tokens: int


def estimate(graph: Graph, count: Callable[[str], int] | None = None, max_tokens: int | None = None) -> Estimate:
    """The estimate of a graph whose roles are expanded.

    Args:
        count: tokens of a text; a guess from its length where no tokenizer is at hand.
        max_tokens: what the run gives to gens that do not say.
    """
    counted = count or _guess
    nodes = [instruction.node for instruction in graph.instructions]
    texts = dict.fromkeys(range(len(graph) + 1), 0)
    for unit in units(graph):
        texts[unit.end] += counted("".join(part for part in unit.parts if isinstance(part, str)))
    default = DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens
    written = {index: _written(node, counted, default) for index, node in enumerate(nodes)}
    prefix = "".join(getattr(instruction.node, "text", None) or "" for instruction in constant_prefix(graph))
    return Estimate(
        gens=sum(isinstance(node, Gen) for node in nodes),
        selects=sum(isinstance(node, Select) for node in nodes),
        programs=sum(isinstance(node, Call) for node in nodes),
        rounds=len(calls_of(graph).levels()),
        streams=graph.num_streams,
        prefix_tokens=counted(prefix) if prefix else 0,
        prompt_tokens=_prompts(graph, texts, written),
        computed_tokens=sum(texts.values()),
        generated_tokens=sum(written[index] for index, node in enumerate(nodes) if isinstance(node, Gen)),
    )


def _guess(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def _written(node: object, count: Callable[[str], int], default: int) -> int:
    if isinstance(node, Gen):
        return default if node.sampling.max_tokens is None else node.sampling.max_tokens
    return max(count(choice) for choice in node.choices) if isinstance(node, Select) else 0


def _prompts(graph: Graph, texts: dict[int, int], written: dict[int, int]) -> int:
    """The sum of what stands before each call."""
    lengths, marks, total = {0: 0}, {}, 0
    for index, instruction in enumerate(graph.instructions):
        stream, node = instruction.stream, instruction.node
        lengths[stream] += texts[index]
        if isinstance(node, Gen | Select):
            total += lengths[stream]
            lengths[stream] += written[index]
        elif isinstance(node, Fork):
            lengths.update(dict.fromkeys(node.children, lengths[stream]))
        elif isinstance(node, Checkpoint):
            marks[stream, node.index] = lengths[stream]
        elif isinstance(node, Rollback):
            lengths[stream] = marks[stream, node.index]
    return total
