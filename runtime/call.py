"""Call: one `Engine.generate` on its way: a session used once, and the answer in SGLang's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import uuid4

from runtime.errors import InvalidParameter, RequestCancelled
from runtime.handle import Chunk, Generation, Handle, TokenLogprob
from runtime.sampling.params import SamplingParams
from runtime.session import Session

__all__ = [
    "Answer",
    "Ask",
    "Call",
    "Params",
    "Partial",
    "cut_short",
    "parse_params",
    "parse_prompts",
    "parse_rids",
    "sample_params",
    "shaped",
]

Answer: TypeAlias = dict[str, Any]
Params: TypeAlias = SamplingParams | Mapping[str, Any] | None
Content: TypeAlias = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Ask:
    """What else is wanted of a generation: log probabilities, from where on, with how many alternatives.

    Attributes:
        token_text: the text of a token, where log probabilities shall come with it.
    """

    return_logprob: bool = False
    logprob_start_len: int | None = None
    top_logprobs_num: int = 0
    token_text: Callable[[int], str] | None = None

    @property
    def top(self) -> int | None:
        """Alternatives per token, or None for no log probabilities at all."""
        return self.top_logprobs_num if self.return_logprob else None

    @property
    def start(self) -> int | None:
        """The first token of the prompt whose log probability is wanted; -1 stands for none, as in SGLang."""
        start = self.logprob_start_len
        return start if self.return_logprob and start != -1 else None


class Call:
    """One generation on a session of its own, submitted at once.

    Args:
        session: holds the prompt; closed when the generation has ended.
        params: sampling.
        ask: what the answer shall contain.
        rid: its name.
    """

    def __init__(self, session: Session, params: SamplingParams, ask: Ask, rid: str) -> None:
        self._ask = ask
        self.rid = rid
        self._is_aborted = False
        self._handle = session.generate(params, top_logprobs=ask.top, logprob_start=ask.start)
        self._session = session
        session.close()

    def answer(self) -> Answer:
        """Waits for the result; whoever stops waiting cancels it."""
        try:
            return shaped(self._handle.result(), self.rid, self._ask)
        except RequestCancelled as error:
            return self._aborted(error)
        finally:
            self.drop()

    async def async_answer(self) -> Answer:
        """Waits for the result without blocking."""
        try:
            return shaped(await self._handle, self.rid, self._ask)
        except RequestCancelled as error:
            return self._aborted(error)
        finally:
            self.drop()

    def stream(self) -> Iterator[Answer]:
        """Answers with the text so far; the last one is complete. Leaving early cancels the generation."""
        partial = Partial(self.rid, self._ask)
        try:
            with self._until_aborted():
                for chunk in self._handle:
                    yield partial.grown(chunk)
            yield self.answer()
        finally:
            self.drop()

    async def async_stream(self) -> AsyncIterator[Answer]:
        """As `stream`, asynchronously."""
        partial = Partial(self.rid, self._ask)
        try:
            with self._until_aborted():
                async for chunk in self._handle:
                    yield partial.grown(chunk)
            yield self.answer()
        finally:
            self.drop()

    def drop(self) -> None:
        """Cancels the generation unless it has ended."""
        if not self._handle.done():
            self._session.cancel()

    @property
    def has_ended(self) -> bool:
        """Whether the generation has."""
        return self._handle.done()

    def abort(self) -> None:
        """Ends the generation; its answer is what there is by then."""
        self._is_aborted = True
        self.drop()

    @contextmanager
    def _until_aborted(self) -> Iterator[None]:
        try:
            yield
        except RequestCancelled:
            if not self._is_aborted:
                raise

    def _aborted(self, error: RequestCancelled) -> Answer:
        """The answer of one that was aborted; one that was cancelled in another way raises what it is cancelled by."""
        if not self._is_aborted:
            raise error
        return cut_short(self._handle, error, self.rid, self._ask)


class Partial:
    """The text and tokens streamed so far.

    Args:
        call_id: the call's name.
        ask: what the answers shall contain.
    """

    def __init__(self, call_id: str, ask: Ask) -> None:
        self._id = call_id
        self._ask = ask
        self._texts: list[str] = []
        self._ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []

    def grown(self, *chunks: Chunk) -> Answer:
        """The answer with some chunks more."""
        for chunk in chunks:
            self._texts.append(chunk.text)
            self._ids.extend(chunk.token_ids)
            self._logprobs.extend(chunk.logprobs)
        self._texts = ["".join(self._texts)]
        meta: dict[str, Any] = {"id": self._id, "finish_reason": None, "completion_tokens": len(self._ids)}
        if self._ask.return_logprob:
            meta |= _logprobs("output", self._logprobs, self._ask)
        return {"text": self._texts[0], "output_ids": list(self._ids), "meta_info": meta}


def shaped(result: Generation, call_id: str, ask: Ask) -> Answer:
    """A finished generation, in SGLang's shape."""
    finish: dict[str, Any] = {"type": result.finish_reason}
    if result.matched_stop is not None:
        finish["matched"] = result.matched_stop
    meta: dict[str, Any] = {
        "id": call_id,
        "finish_reason": finish,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.num_generated,
        "forced_tokens": result.num_forced,
        "cached_tokens": result.cached_tokens,
        "queue_time": result.queue_seconds,
        "time_to_first_token": result.first_token_seconds,
        "e2e_latency": result.total_seconds,
    }
    if ask.return_logprob:
        meta |= _logprobs("output", result.logprobs or (), ask)
        if result.prompt_logprobs is not None:
            meta |= _logprobs("input", result.prompt_logprobs, ask)
    return {"text": result.text, "output_ids": list(result.token_ids), "meta_info": meta}


def cut_short(handle: Handle[Generation], error: RequestCancelled, call_id: str, ask: Ask) -> Answer:
    """The answer of a generation that was cancelled: what there was by then."""
    found = Partial(call_id, ask).grown(*handle.chunks)
    found["meta_info"]["finish_reason"] = {"type": "abort", "message": str(error)}
    return found


def _logprobs(side: str, entries: Sequence[TokenLogprob], ask: Ask) -> Answer:
    def text(token: int) -> str | None:
        return None if ask.token_text is None else ask.token_text(token)

    return {
        f"{side}_token_logprobs": [(entry.logprob, entry.token, text(entry.token)) for entry in entries],
        f"{side}_top_logprobs": [[(lp, token, text(token)) for lp, token in entry.top] for entry in entries],
    }


def parse_params(given: Params) -> SamplingParams:
    """Sampling parameters from any form they come in."""
    return given if isinstance(given, SamplingParams) else SamplingParams.parse(given)


def parse_rids(given: str | Sequence[str] | None, num_prompts: int) -> list[str]:
    """A name for each prompt's call: those given, numbered where one is given for several, or new ones.

    Raises:
        InvalidParameter: there are not as many as prompts, or one is no text.
    """
    if given is None:
        return [uuid4().hex for _ in range(num_prompts)]
    if isinstance(given, str):
        return [given] if num_prompts == 1 else [f"{given}_{place}" for place in range(num_prompts)]
    if len(given) != num_prompts or not all(isinstance(one, str) for one in given):
        raise InvalidParameter("rid", given, f"a text, or one for each of the {num_prompts} prompts")
    return list(given)


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
