"""EngineCore: one step after another (schedule, run, sample, settle), and the sessions in between.

Everything here runs in the engine's thread, except `post`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from grammars import Grammar, Spec
from runtime.batcher import Step, build_step
from runtime.compilation import Compilation
from runtime.config import EngineConfig
from runtime.errors import ContextLengthExceeded, EngineClosed, EngineError, PoolCapacityExceeded, StepFailed
from runtime.job import GenerateJob, Job, PrefillJob
from runtime.memory.budget import Budget
from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.sampling.logprobs import prompt_logprobs
from runtime.sampling.params import SamplingParams
from runtime.sampling.sampler import Sampled, Sampler
from runtime.scheduler.plan import StepPlan, Work
from runtime.scheduler.scheduler import Scheduler
from runtime.script import Op
from runtime.session_state import SessionState
from runtime.session_table import SessionTable
from runtime.stats import Stats

if TYPE_CHECKING:
    from grammars.compiler import GrammarCompiler
    from runtime.runner import ModelRunner
    from runtime.tokenizer import Tokenizer

__all__ = ["EngineCore"]

IDLE_SECONDS = 0.005


class EngineCore:
    """The engine's state and step loop.

    Args:
        config, budget: settings and what became of them.
        runner: computes batches.
        tokenizer: the vocabulary.
        compiler: turns constraints into grammars, off the step loop.
    """

    def __init__(
        self,
        config: EngineConfig,
        budget: Budget,
        runner: ModelRunner,
        tokenizer: Tokenizer,
        compiler: GrammarCompiler,
    ) -> None:
        self.budget = budget
        self.tokenizer = tokenizer
        self.cache = PrefixCache(budget.num_pages, budget.page_size)
        self.sessions = SessionTable(self.cache, runner.copy_slots)
        self.scheduler = Scheduler(self.cache, config.scheduler, self.sessions.reclaim)
        self.stats = Stats()
        self.failure: BaseException | None = None
        self._config = config
        self._runner = runner
        self._sampler = Sampler(tokenizer.vocab_size)
        self._compilation = Compilation(compiler, self.post)
        self._jobs: dict[Request, Job] = {}
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._gate = threading.RLock()
        self._closed: EngineClosed | None = None
        self._random = random.Random()

    # ---- from any thread

    def post(self, action: Callable[[], None]) -> None:
        """Has `action` called in the engine's thread, before its next step; once that has ended, here and now."""
        with self._gate:
            if self._closed is None:
                self._inbox.append(action)
                self._wake.set()
            else:
                action()

    # ---- the loop

    def run(self) -> None:
        """Steps until `stop`; afterwards nothing that anybody waits for is left."""
        try:
            while True:
                self._drain()
                if self._stopping:
                    break
                if not self.step():
                    self._rest()
        except BaseException as error:  # the loop is dead: everybody who waits must hear of it
            self.failure = error
            raise
        finally:
            self._fail_everything()
            self._compilation.shutdown()

    def stop(self) -> None:
        """Ends the loop after the present step."""
        self._stopping = True

    def _drain(self) -> None:
        while self._inbox:
            self._inbox.popleft()()

    def _rest(self) -> None:
        """Sleeps until there is work; a pause of some milliseconds is used to audit the books."""
        if not self._wake.wait(IDLE_SECONDS):
            self.sessions.audit()
            self._wake.wait()
        self._wake.clear()

    def _fail_everything(self) -> None:
        closed = EngineClosed(
            "the engine was shut down" if self.failure is None else f"the engine died: {self.failure}"
        )
        closed.__cause__ = self.failure
        with self._gate:  # whoever posts from now on waits, and then finds that the loop has ended
            self._closed = closed
            self._drain()
            for session in self.sessions:
                self._close_down(session, closed)

    def _close_down(self, session: SessionState, closed: EngineClosed) -> None:
        try:
            self.cancel(session, closed)
            self.sessions.drop(session)
        except Exception:  # where the books themselves are broken, those who wait must hear of the end all the same
            for job in session.jobs:
                job.fail(closed)
            session.jobs.clear()
            session.is_closed = True

    def step(self) -> bool:
        """One step; False when there was nothing to do."""
        plan = self.scheduler.plan()
        for request in plan.exhausted:
            job = self._jobs[request]
            if isinstance(job, GenerateJob):
                job.stop_for_length()
            self._finish(job)
        if not plan.extends and not plan.decodes:
            return bool(plan)
        try:
            step = build_step(plan, self.cache.page_size)
            self._compute(plan, step)
        except Exception as error:
            self._fail_step(plan, error)
        self.stats.steps += 1
        if self._config.audit == "step":
            self.sessions.audit()
        return True

    def _compute(self, plan: StepPlan, step: Step) -> None:
        now = time.perf_counter()
        for work in plan.work:
            job = self._jobs[work.request]
            job.started = job.started or now
        logits = self._runner.run(step.batch)
        jobs = [self._jobs[request] for request in step.sampled]
        rows = [job.row for job in jobs if job.row is not None]
        prompt_logits = logits[len(rows) :]
        offset = 0
        for piece in step.prompts:
            job = self._jobs[piece.request]
            ids = piece.request.tokens[piece.first + 1 : piece.first + 1 + piece.count]
            top = 0 if job.row is None or job.row.top_logprobs is None else job.row.top_logprobs
            job.take_prompt(prompt_logprobs(prompt_logits[offset : offset + piece.count], ids, top))
            piece.request.logits_from = piece.first + piece.count  # after a retraction not once more
            offset += piece.count
        sampled = self._sampler.sample(logits[: len(rows)], rows)
        self._settle(plan, jobs, sampled)

    def _settle(self, plan: StepPlan, jobs: list[Job], sampled: Sampled) -> None:
        """Books what the step computed, hands out its tokens, and ends what is complete."""
        done = [self._jobs[w.request] for w in plan.work if w.completes and w.request.num_remaining == 0]
        for work in plan.work:
            self._advance_cursor(work)
        for place, job in enumerate(jobs):
            if place in sampled.errors:
                self._abort(job, sampled.errors[place])
                continue
            self.stats.generated_tokens += 1
            try:
                if job.take_token(sampled.tokens[place], sampled.logprobs[place]):
                    done.append(job)
            except Exception as error:
                self._abort(job, error)
        for job in done:
            self._finish(job)

    def _advance_cursor(self, work: Work) -> None:
        request = work.request
        sequence = request.sequence
        computed = max(0, min(request.cursor + work.num_tokens, request.prompt_len) - request.cursor)
        if request.num_retractions == 0:
            self.stats.computed_tokens += computed
        else:
            self.stats.recomputed_tokens += work.num_tokens - (request.num_pending == 1)
        request.cursor += work.num_tokens
        sequence.kv_len = max(sequence.kv_len, request.cursor)
        if (
            work.num_tokens > 1 or request.cursor <= request.prompt_len
        ):  # as soon as pages are full, others may share them
            self.cache.commit(sequence, request.tokens)

    def _finish(self, job: Job) -> None:
        session = job.session
        self._leave(job)
        try:
            job.ended()
        except Exception as error:
            job.fail(error)
            job.owner.fail(error)
        if session.sequence is not None:
            session.trim(self.cache)
            self.cache.commit(session.sequence, session.tokens)
        self.advance(job.owner)

    def _leave(self, job: Job) -> None:
        request = job.request
        self.stats.requests += 1
        if request.cached_tokens is not None:
            self._count_prompt(job)
        self.scheduler.end(request)
        del self._jobs[request]
        job.owner.jobs.remove(job)
        self.sessions.touch(job.session)

    def _count_prompt(self, job: Job) -> None:
        """A prompt counts once: what a prefill computes for forks is theirs to have cached afterwards."""
        request = job.request
        cached = request.cached_tokens or 0
        if not isinstance(job, PrefillJob) or request.logits_from is not None:
            self.stats.prompt_tokens += request.prompt_len
            self.stats.cached_tokens += cached
        else:
            self.stats.prompt_tokens += request.prompt_len - cached

    def _abort(self, job: Job, error: BaseException) -> None:
        """Ends a job badly, and with it the session's script. Its KV is good up to here and stays."""
        self._fail(job, error)
        self._abort_rest(job.owner, error)

    def _abort_rest(self, session: SessionState, error: BaseException) -> None:
        for job in list(session.jobs):
            self._fail(job, error)
        self.advance(session)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._leave(job)
        self.stats.failed_requests += 1
        job.fail(error)
        job.owner.fail(error)

    def _fail_step(self, plan: StepPlan, error: Exception) -> None:
        """The forward raised: its requests fail with the cause, their KV of this step is worthless, others go on."""
        for work in plan.work:
            job = self._jobs.get(work.request)
            if job is None:
                continue
            self.cache.detach(job.request.sequence)
            failure = StepFailed(f"the forward step failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._abort(job, failure)

    # ---- sessions

    def enqueue(self, session: SessionState, ops: list[Op]) -> None:
        """Adds to a session's script and goes on with it."""
        session.script.extend(ops)
        session.error = session.error or self._closed
        self.advance(session)

    def advance(self, session: SessionState) -> None:
        """Begins operations until one has to wait."""
        while session.script and session.error is None and not session.is_busy:
            op = session.script.popleft()
            try:
                op.begin(self, session)
            except Exception as error:
                op.abandon(error)
                session.fail(error)
        if session.error is not None:
            self._run_out(session, session.error)

    def _run_out(self, session: SessionState, error: BaseException) -> None:
        """A failed session only closes; everything else in its script fails as the first did."""
        session.fail(error)
        if session.is_ending and not session.is_busy and self._closed is None:
            self.sessions.drop(session)

    def cancel(self, session: SessionState, error: BaseException | None = None) -> None:
        """Ends whatever the session is doing and was going to do."""
        error = error or session.cancelled()
        session.is_suspended = False
        session.fail(error)
        self._abort_rest(session, error)

    def ensure_begun(self, session: SessionState) -> None:
        """A model needs a token to start from: an empty session gets the begin token, or else the end token."""
        if not session.tokens:
            begin = self.tokenizer.bos_token_id
            session.extend([begin if begin is not None else self.tokenizer.eos_token_ids[0]])

    # ---- what operations ask for

    def check_length(self, session: SessionState, max_new_tokens: int | None, num_extra: int = 0) -> None:
        """Refuses what could never run.

        Raises:
            ContextLengthExceeded, PoolCapacityExceeded: with the numbers.
        """
        prompt = len(session.tokens) + num_extra
        needed = prompt + (0 if max_new_tokens == 0 else 1)
        if needed > self.budget.context_length:
            raise ContextLengthExceeded(
                f"the prompt has {prompt} tokens; context_length={self.budget.context_length} leaves no room for more"
            )
        if needed > self.budget.max_total_tokens:
            raise PoolCapacityExceeded(
                f"the prompt has {prompt} tokens; max_total_tokens={self.budget.max_total_tokens} cannot hold it"
            )

    def request(self, session: SessionState, max_new_tokens: int | None, logits_from: int | None) -> Request:
        """A request for the session's tokens."""
        if session.sequence is None:
            raise EngineError("the session was never opened")
        prompt = len(session.tokens)
        limit = self.budget.max_sequence
        wanted = limit if max_new_tokens is None else prompt + max_new_tokens
        return Request(
            tokens=session.tokens,
            sequence=session.sequence,
            prompt_len=prompt,
            max_length=max(prompt, min(wanted, limit)),
            logits_from=logits_from,
        )

    def submit(self, job: Job) -> None:
        """Queues a job's request."""
        self._jobs[job.request] = job
        job.owner.jobs.append(job)
        self.scheduler.submit(job.request)

    def prefill(
        self, session: SessionState, then: Callable[[], None], otherwise: Callable[[BaseException], None]
    ) -> None:
        """Computes what the session's tokens lack in KV, then calls `then`."""
        if session.sequence is not None and session.sequence.kv_len >= len(session.tokens):
            then()
            return
        self.check_length(session, 0)
        self.submit(PrefillJob(session, self.request(session, 0, None), then, otherwise))

    def compile(self, session: SessionState, spec: Spec, then: Callable[[Grammar], None], op: Op) -> None:
        """Compiles a constraint in another thread; the session waits, the step loop does not."""
        session.is_suspended = True
        session.awaiting = op
        self._compilation.submit(spec, lambda done: self._compiled(session, done, then, op))

    def _compiled(
        self, session: SessionState, future: Future[Grammar], then: Callable[[Grammar], None], op: Op
    ) -> None:
        if session.error is not None:  # cancelled in the meantime
            return
        session.is_suspended = False
        session.awaiting = None
        try:
            then(future.result())
        except Exception as error:
            op.abandon(error)
            session.fail(error)
        self.advance(session)

    def seed(self, params: SamplingParams) -> int:
        """The request's seed: its own, or one nobody else has."""
        return params.seed if params.seed is not None else self._random.getrandbits(63)

    # ---- the books
    def flush_cache(self) -> int:
        """Drops every prefix nobody uses; returns the tokens dropped."""
        while self.sessions.reclaim():
            pass
        return self.cache.tree.clear()
