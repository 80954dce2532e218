"""Text calls: gens and selects of a session, as calls of its model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.handle import Generation, Scores
from sgdsl.backends.text.generation import generate
from sgdsl.backends.text.model import TextCall
from sgdsl.backends.text.script import Generate, Score
from sgdsl.backends.text.transcript import Part

if TYPE_CHECKING:
    from sgdsl.backends.text.adapter import TextAdapter

__all__ = ["from_model", "scored"]


async def from_model(adapter: TextAdapter, parts: Sequence[Part], op: Generate) -> Generation:
    """A gen by a call of its own."""
    call = TextCall(transcript=tuple(parts), params=op.params, top_logprobs=op.top_logprobs)
    async with adapter.slots:
        return await generate(adapter.model, call, op.handle.push, adapter.token_texts, op.since)


async def scored(adapter: TextAdapter, parts: Sequence[Part], op: Score) -> Scores:
    """A select by the log probabilities of its choices."""
    async with adapter.slots:
        found = await adapter.model.score(tuple(parts), op.choices)
    logprobs = tuple(tuple(one.logprob for one in row) for row in found.rows)
    ids = tuple(tuple(adapter.token_texts.id_of(one.text) for one in row) for row in found.rows)
    return Scores(
        index=op.choose(logprobs), logprobs=logprobs, token_ids=ids, prompt_tokens=found.usage.prompt_tokens,
        cached_tokens=found.usage.cached_tokens, total_seconds=time.monotonic() - op.since,
    )  # fmt: skip
