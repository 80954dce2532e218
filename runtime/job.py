"""Jobs: what a request is for. A job owns its request's meaning; the scheduler sees only the request."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace
from typing_extensions import override

from runtime.handle import Chunk, Generation, Handle, TokenLogprob
from runtime.output import Output
from runtime.request import Request
from runtime.sampling.row import SamplingRow

if TYPE_CHECKING:
    from runtime.session_state import SessionState

__all__ = ["GenerateJob", "Job", "PrefillJob"]


class Job(ABC):
    """One request on one session. Ends exactly once: with `ended()` or with `fail()`.

    Args:
        session: whose tokens it works on.
        request: the scheduler's view of it.

    Attributes:
        owner: whose script waits for it; another session than its own where alternatives are scored on forks.
        row: its sampling state, where it samples.
        num_forced: tokens its grammar has appended without the model.
        submitted, started, sampled: when it was queued, first run, and given its last sampled token; 0 before.
    """

    row: SamplingRow | None = None
    num_forced = 0

    def __init__(self, session: SessionState, request: Request) -> None:
        self.session = session
        self.owner = session
        self.request = request
        self.submitted = time.perf_counter()
        self.started = 0.0
        self.sampled = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it needs no model at all any more."""
        return False

    def take_known(self, position: int, logprobs: Sequence[TokenLogprob]) -> None:  # noqa: B027 — most jobs want none
        """Log probabilities of tokens that were not sampled, from `position` on, where the request asked for them."""

    def take_token(self, token: int, logprob: TokenLogprob | None) -> bool:
        """The next sampled token; True when it was the last."""
        raise NotImplementedError(f"{type(self).__name__} samples nothing")

    def cut(self) -> None:  # noqa: B027 — most jobs keep what they have
        """Everything has been computed: forgets tokens that turned out to be no part of the result."""

    @abstractmethod
    def ended(self) -> None:
        """Everything asked for has been computed."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """It will never be computed."""


class PrefillJob(Job):
    """Computes the session's tokens and nothing else, then calls `then`, or `otherwise` with the error.

    `logprobs` collects those of the prompt, where the request asked for them.
    """

    def __init__(
        self,
        session: SessionState,
        request: Request,
        then: Callable[[], None],
        otherwise: Callable[[BaseException], None],
    ) -> None:
        super().__init__(session, request)
        self.logprobs: list[TokenLogprob] = []
        self._then = then
        self._otherwise = otherwise

    @override
    def take_known(self, position: int, logprobs: Sequence[TokenLogprob]) -> None:
        self.logprobs.extend(logprobs)

    @override
    def ended(self) -> None:
        self._then()

    @override
    def fail(self, error: BaseException) -> None:
        self._otherwise(error)


class GenerateJob(Job):
    """Samples new tokens until `output` says that was all.

    Args:
        handle: who waits for it.
        row: its sampling state.
        output: its text.
        encode: text → tokens, for what is kept of a token that a stop string cuts.
        jumps: whether tokens its grammar leaves no choice about are appended without the model.
        healed: tokens of the prompt that were taken back; they return where no new token takes their place.
    """

    row: SamplingRow

    def __init__(
        self,
        session: SessionState,
        request: Request,
        *,
        handle: Handle[Generation],
        row: SamplingRow,
        output: Output,
        encode: Callable[[str], Sequence[int]],
        jumps: bool = True,
        healed: Sequence[int] = (),
    ) -> None:
        super().__init__(session, request)
        self.row = row
        self.output = output
        self._handle = handle
        self._encode = encode
        self._jumps = jumps
        self._healed = tuple(healed)
        self._first_token = 0.0
        self._wants_prompt = request.logits_from is not None
        self._prompt_logprobs: list[TokenLogprob] = []
        self._logprobs: list[TokenLogprob] = []
        self._awaited: deque[Chunk] = deque()  # of forced tokens whose log probabilities are to come

    def begin(self) -> None:
        """Appends what the grammar forces before anything was sampled; to be called once, before it is submitted."""
        if self.row.top_logprobs is not None and self.request.logits_from is None:
            self.request.logits_from = self.request.prompt_len - 1
        if self.request.num_remaining > 0:
            self._jump()

    @property
    @override
    def is_over(self) -> bool:
        return self.output.finish is not None and not self._awaited

    @override
    def take_known(self, position: int, logprobs: Sequence[TokenLogprob]) -> None:
        of_prompt = max(0, self.request.prompt_len - position)
        self._prompt_logprobs.extend(logprobs[:of_prompt])
        for logprob in logprobs[of_prompt:]:
            self._logprobs.append(logprob)
            chunk = self._awaited.popleft()
            self._push(replace(chunk, logprobs=(logprob,) if chunk.token_ids else ()))

    @override
    def take_token(self, token: int, logprob: TokenLogprob | None) -> bool:
        if self.request.logits_from is not None:
            self.request.logits_from = len(self.request.tokens)
        if logprob is not None:
            self._logprobs.append(logprob)
        self._push(self._add(token, "generated", logprob))
        self._jump()
        return self.is_over

    def _add(self, token: int, origin: str, logprob: TokenLogprob | None) -> Chunk:
        self._first_token = self._first_token or time.perf_counter()
        self.row.output_ids.append(token)
        self.session.add(token, origin)
        return self.output.push(token, logprob)

    def _jump(self) -> None:
        """Appends forced tokens; their KV, and log probabilities if wanted, come with the next step that runs them."""
        for token in self.output.forced() if self._jumps else ():
            self.num_forced += 1
            chunk = self._add(token, "forced", None)
            if self.row.top_logprobs is None:
                self._push(chunk)
            else:
                self._awaited.append(chunk)
            if self.output.finish is not None:
                break
        if self._awaited and self.output.finish is not None:
            self.request.max_length = len(self.request.tokens)  # they are run for their log probabilities, and no more

    def _push(self, chunk: Chunk) -> None:
        if chunk.text or chunk.token_ids:
            self._handle.push(chunk)

    def stop(self, reason: str) -> bool:
        """Ends it where it is; False where it is to run once more, for log probabilities of tokens handed out."""
        if self.output.finish is None:
            chunk = self.output.end(reason)
            if self._awaited:
                last = self._awaited[-1]
                self._awaited[-1] = replace(last, text=last.text + chunk.text)
                self.request.max_length = len(self.request.tokens)
            else:
                self._push(chunk)
        return not self._awaited

    @override
    def cut(self) -> None:
        if self.output.finish is not None:
            self.session.cut(self.request.prompt_len + self.output.finish.num_kept)

    @override
    def ended(self) -> None:
        request, finish = self.request, self.output.finish
        if finish is None:  # nothing was asked for beyond the prompt
            self._handle.finish(self._generation("length", None, (), ""))
            return
        restored = self._healed if finish.num_kept == 0 else ()
        self.session.extend(restored)
        if finish.rest:
            for token in self._encode(finish.rest):
                self.session.add(token, "generated")
        first = request.prompt_len + len(restored)
        kept, forced = tuple(request.tokens[first:]), self.session.forced(first)
        self._handle.finish(self._generation(finish.reason, finish.matched, kept, self.output.text, forced))

    def _generation(
        self,
        reason: str,
        matched: str | int | None,
        kept: tuple[int, ...],
        text: str,
        forced: tuple[bool, ...] = (),
    ) -> Generation:
        now = time.perf_counter()
        wants_logprobs = self.row.top_logprobs is not None
        num_kept = 0 if self.output.finish is None else self.output.finish.num_kept
        return Generation(
            text=text,
            token_ids=kept,
            finish_reason=reason,
            forced=forced,
            matched_stop=matched,
            num_generated=self.output.num_tokens,
            num_forced=self.num_forced,
            prompt_tokens=self.request.prompt_len,
            cached_tokens=self.request.cached_tokens or 0,
            logprobs=tuple(self._logprobs[:num_kept]) if wants_logprobs else None,
            prompt_logprobs=tuple(self._prompt_logprobs) if self._wants_prompt else None,
            queue_seconds=max(0.0, self.started - self.submitted),
            first_token_seconds=max(0.0, self._first_token - self.submitted),
            total_seconds=now - self.submitted,
        )

    @override
    def fail(self, error: BaseException) -> None:
        self._handle.fail(error)
