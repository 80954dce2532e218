"""Scoring: the log probabilities of alternative continuations, side by side, and going on with one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from runtime.errors import InvalidParameter
from runtime.handle import Handle, Scores, gains
from runtime.job import PrefillJob
from runtime.request import Phase
from runtime.script import Op
from runtime.session_state import SessionState

if TYPE_CHECKING:
    from runtime.core import EngineCore

__all__ = ["Choose", "Score", "common_length"]

Choose = Callable[[Sequence[Sequence[float]]], int]
Rows = tuple[tuple[float, ...], ...]
Ids = tuple[tuple[int, ...], ...]


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Length of the longest common prefix."""
    shortest = min(map(len, sequences))
    for i in range(shortest):
        if any(sequence[i] != sequences[0][i] for sequence in sequences):
            return i
    return shortest


@dataclass(eq=False, slots=True)
class Score(Op):
    """Scores every alternative after the same prompt, lets `choose` pick one, and goes on with it.

    Token boundaries are healed: an alternative is tokenized together with the text before it, and all of them are
    scored from the first token in which any differs from the text alone. The common prompt is computed once; each
    alternative runs on a fork of it.

    Args:
        tail: tokens of the text just before, as they stand at the session's end (empty where nothing may be healed).
        alternatives: tokens of that text and each alternative together.
        choose: token log probabilities of every alternative → index of the one to take.
        handle: who waits.
        unconditional: each token's log probability without the prompt is taken off, before `choose` sees them. Those
            are of the alternative's ids alone, with no begin token before them; the first one's is 0.
        priority: of its requests.
    """

    tail: Sequence[int]
    alternatives: Sequence[Sequence[int]]
    choose: Choose
    handle: Handle[Scores]
    unconditional: bool = False
    priority: int = 0
    _jobs: list[PrefillJob] = field(default_factory=list)
    _alone: dict[tuple[int, ...], PrefillJob] = field(default_factory=dict)
    _without: dict[tuple[int, ...], tuple[float, ...]] = field(default_factory=dict)
    _left: int = 0
    _submitted: float = field(default_factory=time.perf_counter)
    _cached: int = 0

    @override
    def begin(self, core: EngineCore, session: SessionState) -> None:
        heads = [*self.alternatives, self.tail] if self.tail else []
        healed = min(common_length(heads), *(len(a) - 1 for a in self.alternatives)) if heads else 0
        session.cut(len(session.tokens) - len(self.tail) + healed)
        session.trim(core.cache)
        core.ensure_begun(session)
        suffixes = [alternative[healed:] for alternative in self.alternatives]
        for suffix in suffixes:
            core.check_length(session, 0, num_extra=len(suffix))
        then = partial(self._fan_out, core, session, suffixes)
        core.prefill(session, then, self.handle.fail, self.priority)

    def _fan_out(self, core: EngineCore, session: SessionState, suffixes: Sequence[Sequence[int]], cached: int) -> None:
        self._cached = cached
        base = len(session.tokens)
        alone = self._unknown(core, session, suffixes)
        self._left = len(suffixes) + len(alone)
        for suffix in suffixes:
            branch = SessionState(session.namespace, session.program, session.run)
            core.sessions.fork(session, branch)
            self._jobs.append(self._run(core, session, branch, suffix, base - 1))
        for ids in alone:
            branch = SessionState(session.namespace, session.program, session.run)
            core.sessions.take_up(branch)
            self._alone[ids] = self._run(core, session, branch, ids, 0)

    def _unknown(
        self, core: EngineCore, session: SessionState, suffixes: Sequence[Sequence[int]]
    ) -> list[tuple[int, ...]]:
        """The alternatives to be run without the prompt, each once; notes what is known of the others."""
        if not self.unconditional:
            return []
        rows = {ids: core.unconditional.find(session.namespace, ids) for ids in map(tuple, suffixes)}
        self._without = {ids: row for ids, row in rows.items() if row is not None}
        return [ids for ids, row in rows.items() if row is None]

    def _run(
        self, core: EngineCore, session: SessionState, branch: SessionState, ids: Sequence[int], logits_from: int
    ) -> PrefillJob:
        """Has `ids` computed on a branch, with their log probabilities."""
        for token in ids:
            branch.add(token, "generated")
        request = core.request(branch, 0, logits_from, self.priority)
        job = PrefillJob(branch, request, lambda: self._one_done(core, session), lambda e: self._failed(core, e))
        job.owner = session
        core.submit(job)
        return job

    def _failed(self, core: EngineCore, error: BaseException) -> None:
        self.handle.fail(error)
        self._drop_branches(core)

    def _drop_branches(self, core: EngineCore) -> None:
        for job in (*self._jobs, *self._alone.values()):
            if job.request.phase is Phase.ENDED:
                core.sessions.drop(job.session)

    def _one_done(self, core: EngineCore, session: SessionState) -> None:
        self._left -= 1
        if self._left:
            return
        base = len(session.tokens)
        scores = tuple(tuple(entry.logprob for entry in job.logprobs) for job in self._jobs)
        token_ids = tuple(tuple(job.session.tokens[base:]) for job in self._jobs)
        without = self._without_prompt(core, session, token_ids) if self.unconditional else None
        self._decide(core, session, scores, token_ids, without)

    def _decide(
        self, core: EngineCore, session: SessionState, scores: Rows, token_ids: Ids, without: Rows | None
    ) -> None:
        index = self.choose(scores if without is None else gains(scores, without))
        self._take(core, session, index, scores, token_ids, without)

    def _take(
        self, core: EngineCore, session: SessionState, index: int, scores: Rows, token_ids: Ids, without: Rows | None
    ) -> None:
        if not 0 <= index < len(scores):
            raise InvalidParameter("choose", index, f"an index in 0..{len(scores) - 1}")
        core.sessions.take_over(session, self._jobs[index].session)
        self._drop_branches(core)
        self.handle.finish(
            Scores(
                index=index,
                logprobs=scores,
                token_ids=token_ids,
                unconditional_logprobs=without,
                prompt_tokens=len(session.tokens) - len(token_ids[index]),
                cached_tokens=self._cached,
                total_seconds=time.perf_counter() - self._submitted,
            )
        )

    def _without_prompt(
        self, core: EngineCore, session: SessionState, token_ids: Sequence[tuple[int, ...]]
    ) -> tuple[tuple[float, ...], ...]:
        for ids, job in self._alone.items():
            row = (0.0, *(entry.logprob for entry in job.logprobs))
            core.unconditional.keep(session.namespace, ids, row)
            self._without[ids] = row
        return tuple(self._without[ids] for ids in token_ids)

    @override
    def abandon(self, error: BaseException) -> None:
        self.handle.fail(error)
