"""Separation: one generated text becomes two values, the reasoning and the answer, also while it is still coming."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from runtime.handle import Chunk, Handle
from sgdsl.errors import InvalidArgument
from sgdsl.ir import Gen, Node
from sgdsl.outcome import Outcome
from sgdsl.primitives import Expr, expression
from sgdsl.reasoning import Reasoning, Splitter, reasoning_of

__all__ = ["separate_reasoning", "separated"]


def separate_reasoning(expr: Expr | str, model_type: str) -> Expr:
    """Splits reasoning from the answer in every gen of `expr`, streaming included.

    `s[name]` is the answer, `s[name + "_reasoning_content"]` the reasoning; the text and the messages hold both. What
    constrains a gen holds from where its reasoning ends.

    Args:
        model_type: how the model writes its reasoning: one of `sgdsl.reasoning.MODEL_TYPES`.

    Raises:
        InvalidArgument: an unknown model type, or nothing in `expr` is generated.
    """
    reasoning = reasoning_of(model_type)
    nodes = expression(expr).nodes
    if not any(isinstance(node, Gen) for node in nodes):
        raise InvalidArgument("separate_reasoning: there is no gen in this expression")
    return Expr(tuple(_with_reasoning(node, reasoning) for node in nodes))


def _with_reasoning(node: Node, reasoning: Reasoning) -> Node:
    """Before a constraint everything up to the marker is let through, so that all of it is reasoning."""
    if not isinstance(node, Gen):
        return node
    if node.constraint is not None:
        reasoning = replace(reasoning, is_certain=True, is_exact=True)
    return replace(node, reasoning=reasoning)


def separated(whole: Handle[Outcome], reasoning: Reasoning) -> tuple[Handle[Outcome], Handle[Outcome]]:
    """The answer and the reasoning of a gen's outcome, whose value is the answer's already."""
    answer: Handle[Outcome] = Handle()
    thoughts: Handle[Outcome] = Handle()
    splitter = Splitter(reasoning)

    def arrived(chunk: Chunk | None) -> None:
        thought, said = splitter.end() if chunk is None else splitter.feed(chunk.text)
        tokens = () if chunk is None else chunk.token_ids
        if thought:
            thoughts.push(Chunk(thought, () if said else tokens))
        if said:
            answer.push(Chunk(said, tokens))
        if chunk is None:
            _end(whole, reasoning, answer, thoughts)

    whole.subscribe(arrived)
    return answer, thoughts


def _end(
    whole: Handle[Outcome], reasoning: Reasoning, answer: Handle[Outcome], thoughts: Handle[Outcome]
) -> None:  # fmt: skip
    error = whole.error()
    if error is not None:
        answer.fail(error)
        thoughts.fail(error)
        return
    outcome = whole.result()
    if outcome.has_samples:
        pairs = [reasoning.split(text) for text in cast("list[str]", outcome.text)]
        thought, said = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        thoughts.finish(Outcome(thought, thought, outcome.meta, has_samples=True))
        answer.finish(Outcome(outcome.value, said, outcome.meta, has_samples=True))
    else:
        text, words = reasoning.split(outcome.text)
        thoughts.finish(Outcome(text, text, outcome.meta))
        answer.finish(Outcome(outcome.value, words, outcome.meta))
