"""Results: what a backend delivered for an instruction, as the entry of its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.handle import Generation, Scores
from sgdsl import ir
from sgdsl.awaited import Awaited
from sgdsl.record.entries import Ended, Sample, Scored, Token
from sgdsl.record.spelling import Spelling, clean

__all__ = ["Answer", "entry"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of a gen or a select; of anything else there are none.

    Attributes:
        prompt_tokens: before it. kept: the token ids that the stream goes on with from there.
        scores: of the choices, where the select scores them.
    """

    generations: tuple[Generation, ...] = ()
    scored: Scores | None = None
    scores: tuple[float, ...] = ()
    prompt_tokens: int = 0
    kept: tuple[int, ...] = ()

    @classmethod
    def of(cls, node: ir.Node | Awaited, results: Sequence[Any]) -> Answer:
        """The results of a node."""
        first = results[0] if results else None
        if isinstance(first, Generation):
            return cls(generations=tuple(results), prompt_tokens=first.prompt_tokens, kept=first.token_ids)
        if isinstance(first, Scores) and isinstance(node, ir.Select):
            scores = tuple(node.method.scores(first.basis))
            kept = first.token_ids[first.index]
            return cls(scored=first, scores=scores, prompt_tokens=first.prompt_tokens, kept=kept)
        return cls()


def entry(
    answer: Answer, spelling: Spelling, *, run: int, seconds: float, text: Any, start: int, prompt: Sequence[int]
) -> Ended:  # fmt: skip
    """The entry of an instruction's end, whose number is not known here.

    Args:
        text: of its outcome.
        start: position of `prompt`, the token ids before it that no earlier entry has named.
    """
    first = answer.generations[0] if answer.generations else answer.scored
    cached = first.cached_tokens if first is not None else 0
    written = text[0] if isinstance(text, list) and text else text
    texts = spelling.of(prompt)
    return Ended(
        run=run, id=-1, seconds=seconds, text=clean(written) if isinstance(written, str) else "",
        prompt_start=start, prompt_tokens=answer.prompt_tokens, cached_tokens=cached,
        prompt=tuple(
            Token(token, text, "cached" if start + place < cached else "prompt")
            for place, (token, text) in enumerate(zip(prompt, texts, strict=True))
        ),
        samples=tuple(_sample(one, spelling) for one in answer.generations),
        scored=_scored(answer, spelling), index=None if answer.scored is None else answer.scored.index,
    )  # fmt: skip


def _sample(result: Generation, spelling: Spelling) -> Sample:
    ids = result.token_ids
    texts = spelling.of(ids, result.text)
    logprobs = [None] * len(ids) if result.logprobs is None else [one.logprob for one in result.logprobs]
    return Sample(
        text=clean(result.text),
        tokens=tuple(
            Token(*parts)
            for parts in zip(ids, texts, _origins(result), logprobs, strict=False)
        ),
        prompt_tokens=result.prompt_tokens, cached_tokens=result.cached_tokens,
        num_generated=result.num_generated, num_forced=result.num_forced, finish_reason=result.finish_reason,
        matched_stop=clean(result.matched_stop) if isinstance(result.matched_stop, str) else result.matched_stop,
        written_ahead=result.written_ahead, queue_seconds=result.queue_seconds,
        first_token_seconds=result.first_token_seconds, total_seconds=result.total_seconds,
    )  # fmt: skip


def _origins(result: Generation) -> list[str]:
    """Of each token, as far as the backend says."""
    forced = result.forced or (False,) * len(result.token_ids)
    return ["forced" if one else "generated" for one in forced]


def _scored(answer: Answer, spelling: Spelling) -> tuple[Scored, ...]:
    if answer.scored is None:
        return ()
    rows = zip(answer.scores, answer.scored.token_ids, answer.scored.logprobs, strict=True)
    return tuple(
        Scored(
            score=score,
            tokens=tuple(
                Token(token, text, "generated", logprob)
                for token, text, logprob in zip(ids, spelling.of(ids), logprobs, strict=False)
            ),
        )
        for score, ids, logprobs in rows
    )
