"""Call: one `Engine.generate` on its way: a session used once, and the answer in SGLang's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import uuid4

from runtime.errors import InvalidParameter
from runtime.handle import Chunk, Generation, TokenLogprob
from runtime.sampling.params import SamplingParams
from runtime.session import Session

__all__ = ["Answer", "Ask", "Call", "Params", "parse_params", "parse_prompts", "sample_params"]

Answer: TypeAlias = dict[str, Any]
Params: TypeAlias = SamplingParams | Mapping[str, Any] | None
Content: TypeAlias = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Ask:
    """What else is wanted of a generation: log probabilities, from where on, with how many alternatives."""

    return_logprob: bool = False
    logprob_start_len: int | None = None
    top_logprobs_num: int = 0

    @property
    def top(self) -> int | None:
        """Alternatives per token, or None for no log probabilities at all."""
        return self.top_logprobs_num if self.return_logprob else None


class Call:
    """One generation on a session of its own, submitted at once.

    Args:
        session: holds the prompt; closed when the generation has ended.
        params: sampling.
        ask: what the answer shall contain.
    """

    def __init__(self, session: Session, params: SamplingParams, ask: Ask) -> None:
        self._ask = ask
        self._id = uuid4().hex
        start = ask.logprob_start_len if ask.return_logprob else None
        self._handle = session.generate(params, top_logprobs=ask.top, logprob_start=start)
        self._session = session
        session.close()

    def answer(self) -> Answer:
        """Waits for the result; whoever stops waiting cancels it."""
        try:
            return self._shape(self._handle.result())
        finally:
            self.drop()

    async def async_answer(self) -> Answer:
        """Waits for the result without blocking."""
        try:
            return self._shape(await self._handle)
        finally:
            self.drop()

    def stream(self) -> Iterator[Answer]:
        """Answers with the text so far; the last one is complete. Leaving early cancels the generation."""
        partial = _Partial()
        try:
            for chunk in self._handle:
                yield partial.grown(chunk, self._id)
            yield self.answer()
        finally:
            self.drop()

    async def async_stream(self) -> AsyncIterator[Answer]:
        """As `stream`, asynchronously."""
        partial = _Partial()
        try:
            async for chunk in self._handle:
                yield partial.grown(chunk, self._id)
            yield self.answer()
        finally:
            self.drop()

    def drop(self) -> None:
        """Cancels the generation unless it has ended."""
        if not self._handle.done():
            self._session.cancel()

    def _shape(self, result: Generation) -> Answer:
        finish: dict[str, Any] = {"type": result.finish_reason}
        if result.matched_stop is not None:
            finish["matched"] = result.matched_stop
        meta: dict[str, Any] = {
            "id": self._id,
            "finish_reason": finish,
            "prompt_tokens": result.prompt_tokens,
            "completion_tokens": result.num_generated,
            "forced_tokens": result.num_forced,
            "cached_tokens": result.cached_tokens,
            "queue_time": result.queue_seconds,
            "time_to_first_token": result.first_token_seconds,
            "e2e_latency": result.total_seconds,
        }
        if self._ask.return_logprob:
            meta |= _logprobs("output", result.logprobs or ())
            if result.prompt_logprobs is not None:
                meta |= _logprobs("input", result.prompt_logprobs)
        return {"text": result.text, "output_ids": list(result.token_ids), "meta_info": meta}


class _Partial:
    """The text and tokens streamed so far."""

    def __init__(self) -> None:
        self._text = ""
        self._ids: list[int] = []

    def grown(self, chunk: Chunk, call_id: str) -> Answer:
        self._text += chunk.text
        self._ids.extend(chunk.token_ids)
        meta = {"id": call_id, "finish_reason": None, "completion_tokens": len(self._ids)}
        return {"text": self._text, "output_ids": list(self._ids), "meta_info": meta}


def _logprobs(side: str, entries: Sequence[TokenLogprob]) -> Answer:
    return {
        f"{side}_token_logprobs": [(entry.logprob, entry.token, None) for entry in entries],
        f"{side}_top_logprobs": [[(lp, token, None) for lp, token in entry.top] for entry in entries],
    }


def parse_params(given: Params) -> SamplingParams:
    """Sampling parameters from any form they come in."""
    return given if isinstance(given, SamplingParams) else SamplingParams.parse(given)


def sample_params(params: SamplingParams, place: int) -> SamplingParams:
    """Parameters of the sample at `place` among n: one sample each, seeds that differ but are reproducible."""
    seed = None if params.seed is None else params.seed + place
    return params if params.n == 1 else replace(params, n=1, seed=seed)


def parse_prompts(
    prompt: str | Sequence[str] | None, input_ids: Sequence[int] | Sequence[Sequence[int]] | None
) -> tuple[list[Content], bool]:
    """The prompts of a call, and whether they came as a list.

    Raises:
        InvalidParameter: not exactly one of prompt and input_ids, or neither text nor ids.
    """
    if prompt is None and input_ids is None:
        raise InvalidParameter("prompt", None, "text (or input_ids instead)")
    if prompt is not None and input_ids is not None:
        raise InvalidParameter("input_ids", input_ids, "None where prompt is given")
    if isinstance(prompt, str):
        return [prompt], False
    if prompt is not None:
        if not isinstance(prompt, Sequence) or not all(isinstance(text, str) for text in prompt):
            raise InvalidParameter("prompt", prompt, "a string or a list of strings")
        return list(prompt), True
    if not isinstance(input_ids, Sequence) or isinstance(input_ids, str):
        raise InvalidParameter("input_ids", input_ids, "a list of token ids, or a list of such lists")
    rows = [list(row) for row in input_ids if isinstance(row, Sequence) and not isinstance(row, str)]
    if rows and len(rows) == len(input_ids):
        return list(rows), True
    return [list(input_ids)], False  # type: ignore[arg-type]
