"""Script operations: what a session can be asked to do, in order, without asking back.

An operation begins when everything before it on its session has ended. It either finishes at once or leaves jobs on
the session; the script goes on when those have ended. The first failure abandons all that follows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from runtime.constraint.after_marker import AfterMarker
from runtime.constraint.healing import MOST_HEALED, Healing, num_to_heal
from runtime.errors import InvalidParameter
from runtime.handle import Generation, Handle
from runtime.job import GenerateJob
from runtime.output import Output
from runtime.sampling.params import SamplingParams
from runtime.sampling.row import SamplingRow
from runtime.session_state import ORIGINS

if TYPE_CHECKING:
    from grammars import Grammar, Matcher
    from runtime.core import EngineCore
    from runtime.hint import Hint
    from runtime.session import Session
    from runtime.session_state import SessionState

__all__ = ["Append", "Close", "Foretell", "Fork", "Generate", "Mark", "Op", "Tokens", "Truncate"]


class Op(ABC):
    """One operation of a script."""

    ends_session = False

    @abstractmethod
    def begin(self, core: EngineCore, session: SessionState) -> None:
        """Starts it; raising fails the session."""

    def abandon(self, error: BaseException) -> None:  # noqa: B027 — nobody waits for an append
        """It will not be begun: whoever waits for it gets `error`."""

    def orphans(self, error: BaseException) -> Sequence[SessionState]:
        """As `abandon`, but for the sessions that fail with it, which are left to the caller."""
        self.abandon(error)
        return ()


@dataclass(eq=False, slots=True)
class Append(Op):
    """Adds tokens of the program's text. Nothing is computed until a later operation needs it.

    What could never run is refused here: who only ever appends would fill the memory of the process.
    """

    tokens: Sequence[int]

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        core.check_length(session, 0, num_extra=len(self.tokens))
        session.extend(self.tokens)


@dataclass(eq=False, slots=True)
class Truncate(Op):
    """Goes back to the first `num_tokens` tokens."""

    num_tokens: int

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        if not 0 <= self.num_tokens <= len(session.tokens):
            raise InvalidParameter("num_tokens", self.num_tokens, f"an integer in 0..{len(session.tokens)}")
        session.cut(self.num_tokens)
        session.trim(core.cache)


@dataclass(eq=False, slots=True)
class _Report(Op):
    """An operation that only answers a question."""

    handle: Handle[Any]

    @override
    def abandon(self, error: BaseException) -> None:
        self.handle.fail(error)


class Mark(_Report):
    """How many tokens there are at this point."""

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        session.marked = len(session.tokens)
        self.handle.finish(session.marked)


class Tokens(_Report):
    """The tokens at this point, each with its origin."""

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        self.handle.finish([(token, ORIGINS[o]) for token, o in zip(session.tokens, session.origins, strict=True)])


@dataclass(eq=False, slots=True)
class Foretell(Op):
    """Notes what is known of the session's future at this point."""

    hint: Hint

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        session.hint = self.hint.over(session.hint)
        core.stats.hints += 1


@dataclass(eq=False, slots=True)
class Close(Op):
    """Ends the session; its KV stays in the tree, unlocked."""

    ends_session = True

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        core.sessions.drop(session)


@dataclass(eq=False, slots=True)
class Fork(Op):
    """Gives `children` the session's tokens and KV. What is not computed yet is computed once, before.

    Args:
        children: sessions suspended until then.
        parent: what the user holds of the forking session; not to be dropped, and thereby cancelled, before.
    """

    children: Sequence[SessionState]
    parent: Session | None

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        if not session.tokens:
            self._spawn(core, session)
        else:
            core.prefill(session, lambda _: self._spawn(core, session), self.abandon)

    def _spawn(self, core: EngineCore, session: SessionState) -> None:
        self.parent = None
        for child in self.children:
            if child.error is not None:  # cancelled or dropped before it began
                continue
            core.sessions.fork(session, child)
            child.is_suspended = False
            core.advance(child)

    @override
    def abandon(self, error: BaseException) -> None:
        for child in self.orphans(error):
            child.fail(error)

    @override
    def orphans(self, error: BaseException) -> Sequence[SessionState]:
        self.parent = None
        for child in self.children:
            child.is_suspended = False
        return self.children


@dataclass(eq=False, slots=True)
class Generate(Op):
    """Samples new tokens.

    Args:
        params: how.
        handle: who waits.
        top_logprobs: None, or how many alternatives beside each token's own log probability.
        logprob_start: first prompt position whose log probability is wanted.
        deadline: when its time is up; set when it begins.
    """

    params: SamplingParams
    handle: Handle[Generation]
    top_logprobs: int | None = None
    logprob_start: int | None = None
    deadline: float = math.inf

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        self.deadline = core.scheduler.deadlines.after(self.params.timeout)
        core.ensure_begun(session)
        start = self.logprob_start
        if start is not None and not 0 <= start < len(session.tokens):
            raise InvalidParameter("logprob_start_len", start, f"an integer in 0..{len(session.tokens) - 1}")
        core.check_length(session, self.params.max_new_tokens)
        if self.params.constraint is None:
            self._submit(core, session, None)
        else:
            core.compile(session, self.params.constraint, lambda grammar: self._submit(core, session, grammar), self)

    def _submit(self, core: EngineCore, session: SessionState, grammar: Grammar | None) -> None:
        params = self.params
        healed = self._take_back(core, session)
        skipped = b"".join(core.tokenizer.token_bytes[token] or b"" for token in healed)
        matcher = self._matcher(core, grammar, skipped)
        # Position i's logits speak of token i + 1, and nothing speaks of token 0.
        first = None if self.logprob_start is None else max(0, self.logprob_start - 1)
        request = core.request(session, params.max_new_tokens, first, params.priority, self.deadline)
        ends = core.tokenizer.eos_token_ids
        table = core.tokenizer.token_bytes if params.skip_special_tokens else core.tokenizer.shown_bytes
        row = SamplingRow(
            params,
            prompt_ids=tuple(session.tokens) if params.repetition_penalty != 1.0 else (),
            end_tokens=ends,
            seed=core.seed(params),
            matcher=matcher,
            top_logprobs=self.top_logprobs,
        )
        limit = request.max_length - request.prompt_len
        job = GenerateJob(
            session,
            request,
            handle=self.handle,
            row=row,
            output=Output(params, table, ends, limit, matcher, len(skipped)),
            encode=core.tokenizer.encode,
            jumps=core.jumps_forward and params.jump_forward,
            healed=healed,
        )
        job.begin()
        core.submit(job)

    def _take_back(self, core: EngineCore, session: SessionState) -> list[int]:
        """Cuts off the tokens that the first new one may begin inside of, and returns them."""
        if not self.params.token_healing or self.params.max_new_tokens == 0:
            return []
        first = max(session.marked, len(session.tokens) - MOST_HEALED)
        is_prompt = [False] * MOST_HEALED + [origin == 0 for origin in session.origins[first:]]
        tokenizer = core.tokenizer
        count = num_to_heal(session.tokens, is_prompt, tokenizer.token_bytes, tokenizer.prefixes)
        start = len(session.tokens) - count
        healed = session.tokens[start:]
        session.cut(start)
        session.trim(core.cache)
        return healed

    def _matcher(self, core: EngineCore, grammar: Grammar | None, skipped: bytes) -> Matcher | None:
        """The constraint, its stages laid around the grammar from the inside out."""
        matcher: Matcher | None = None if grammar is None else grammar.matcher()
        if matcher is not None and self.params.constraint_after is not None:
            matcher = AfterMarker(core.marker(self.params.constraint_after), matcher)
        if skipped:
            matcher = Healing(skipped, core.tokenizer.token_bytes, core.tokenizer.prefixes, matcher)
        return matcher

    @override
    def abandon(self, error: BaseException) -> None:
        self.handle.fail(error)
