"""Stepper: one step after another: schedule, run, sample, settle. Knows jobs, not what follows when one has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.batcher import Batcher, Step
from runtime.errors import RequestCancelled, RequestTimeout, StepFailed
from runtime.job import GenerateJob, Job, PrefillJob
from runtime.limiter import Limiter
from runtime.memory.cache import PrefixCache
from runtime.memory.optimal import OptimalCache
from runtime.request import Request
from runtime.sampling.logprobs import known_logprobs
from runtime.sampling.sampler import Sampled, Sampler
from runtime.scheduler.plan import StepPlan, Work
from runtime.scheduler.scheduler import Scheduler
from runtime.session_state import SessionState
from runtime.stats import Stats

if TYPE_CHECKING:
    import torch

    from runtime.runner import ModelRunner

__all__ = ["Stepper"]


class Stepper:
    """Runs jobs to their ends.

    Args:
        cache: pages and prefixes.
        scheduler: decides what runs. limiter: is told what was decided.
        runner, sampler: compute it.
        stats: counts it.
        then: called with a session whose job has ended, well or badly, so that its script goes on.
        optimal: is asked and told about every prompt, where somebody wants to know.
    """

    def __init__(
        self,
        cache: PrefixCache,
        scheduler: Scheduler,
        limiter: Limiter,
        runner: ModelRunner,
        sampler: Sampler,
        stats: Stats,
        then: Callable[[SessionState], None],
        optimal: OptimalCache | None = None,
    ) -> None:
        self._cache = cache
        self._scheduler = scheduler
        self._limiter = limiter
        self._runner = runner
        self._sampler = sampler
        self._batcher = Batcher(cache.page_size)
        self._stats = stats
        self._then = then
        self._optimal = optimal
        self._jobs: dict[Request, Job] = {}
        self._over: list[Job] = []

    def submit(self, job: Job) -> None:
        """Queues a job's request."""
        self._jobs[job.request] = job
        job.owner.jobs.append(job)
        self._scheduler.submit(job.request)
        if job.is_over:  # not ended here: that would go on with the script from within its own operation
            self._over.append(job)

    def close(self) -> None:
        """Ends the sampler's thread."""
        self._sampler.masks.close()

    def step(self) -> bool:
        """One step; False when there was nothing to do."""
        over, self._over = self._over, []
        for job in over:
            if job.request in self._jobs:
                self._finish(job)
        late = self._scheduler.late()
        for request in late:
            if request in self._jobs:
                self._time_out(self._jobs[request])
        plan = self._scheduler.plan()
        self._limiter.watch(plan.limit, len(self._scheduler.running), len(self._scheduler.waiting))
        for request in plan.exhausted:
            job = self._jobs[request]
            if isinstance(job, GenerateJob):
                job.stop("length")
            self._finish(job)
        if not plan.extends and not plan.decodes:
            return bool(plan) or bool(over) or bool(late)
        self._stats.steps += 1  # before anybody hears of what it computed
        try:
            step = self._batcher.build(plan)
            self._compute(plan, step)
        except Exception as error:
            self._fail_step(plan, error)
        self._stats.grammar_mask_seconds = self._sampler.masks.seconds
        return True

    def _time_out(self, job: Job) -> None:
        """Ends a job whose time is up with what there is; one that has nothing yet has failed."""
        if not isinstance(job, GenerateJob) or not job.output.num_tokens:
            self._stats.timed_out_requests += 1
            waited = time.perf_counter() - job.submitted
            self._abort(job, RequestTimeout(f"the request's timeout passed after {waited:.3g} s without a token"))
        elif job.stop("timeout"):
            self._stats.timed_out_requests += 1
            self._finish(job)
        else:
            self._scheduler.deadlines.lift(job.request)

    def _compute(self, plan: StepPlan, step: Step) -> None:
        now = time.perf_counter()
        for work in plan.work:
            job = self._jobs[work.request]
            if not job.started:
                job.started = now
                self._stats.timings.queue.add(now - job.submitted)
        jobs = [self._jobs[request] for request in step.sampled]
        rows = [job.row for job in jobs if job.row is not None]
        self._sampler.masks.begin(rows)
        logits = self._runner.run(step.batch)
        self._hand_out_known(step, logits[len(rows) :])
        sampled = self._sampler.sample(logits[: len(rows)], rows)
        self._settle(plan, jobs, sampled)

    def _hand_out_known(self, step: Step, logits: torch.Tensor) -> None:
        offset = 0
        for piece in step.known:
            job = self._jobs[piece.request]
            ids = piece.request.tokens[piece.first + 1 : piece.first + 1 + piece.count]
            top = 0 if job.row is None or job.row.top_logprobs is None else job.row.top_logprobs
            job.take_known(piece.first + 1, known_logprobs(logits[offset : offset + piece.count], ids, top))
            piece.request.logits_from = piece.first + piece.count  # after a retraction not once more
            offset += piece.count

    def _settle(self, plan: StepPlan, jobs: list[Job], sampled: Sampled) -> None:
        """Books what the step computed, hands out its tokens, and ends what is complete."""
        done = [self._jobs[w.request] for w in plan.work if w.completes and w.request.num_remaining == 0]
        for work in plan.work:
            self._advance_cursor(work)
        now, timings = time.perf_counter(), self._stats.timings
        for place, job in enumerate(jobs):
            if place in sampled.errors:
                self._abort(job, sampled.errors[place])
                continue
            self._stats.generated_tokens += 1
            (timings.inter_token if job.sampled else timings.first_token).add(now - (job.sampled or job.submitted))
            job.sampled = now
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
        end = request.cursor + work.num_tokens
        first_new = min(max(request.cursor, request.num_run), end)
        self._stats.recomputed_tokens += first_new - request.cursor
        self._stats.computed_tokens += max(0, min(end, request.prompt_len) - first_new)
        request.cursor = end
        request.num_run = max(request.num_run, end)
        sequence.kv_len = max(sequence.kv_len, request.cursor)
        if self._scheduler.restore(sequence):
            request.skip_restored()
        if work.num_tokens > 1 or request.cursor <= request.prompt_len:  # full pages can be shared at once
            self._cache.commit(sequence, request.tokens)

    def _finish(self, job: Job) -> None:
        session = job.session
        self._scheduler.estimate.learn(job.request)
        self._leave(job)
        if isinstance(job, GenerateJob):
            self._stats.timings.end_to_end.add(time.perf_counter() - job.submitted)
        job.cut()
        if session.sequence is not None:  # before anything is put where tokens were cut: their KV has to go first
            session.trim(self._cache)
            self._cache.commit(session.sequence, session.tokens)
        try:
            job.ended()
        except BaseException as error:  # the job is in no list any more: nobody else would tell who waits for it
            job.fail(error)
            job.owner.fail(error)
            if not isinstance(error, Exception):
                raise
        self._then(job.owner)

    def _leave(self, job: Job) -> None:
        request = job.request
        self._stats.requests += 1
        self._stats.forced_tokens += job.num_forced
        if request.cached_tokens is not None:
            self._count_prompt(job)
        self._scheduler.end(request)
        del self._jobs[request]
        job.owner.jobs.remove(job)

    def _count_prompt(self, job: Job) -> None:
        """A prompt counts once: what a prefill computes for forks is theirs to have cached afterwards."""
        request = job.request
        cached = request.cached_tokens or 0
        reads_prefix = not isinstance(job, PrefillJob) or request.logits_from is not None
        if self._optimal is not None:
            namespace, keys = request.sequence.namespace, request.sequence.keyed(request.tokens)
            self._optimal.ask(keys[: request.prompt_len], namespace, reads_prefix=reads_prefix)
            self._optimal.learn(keys, namespace)
        if reads_prefix:
            self._stats.prompt_tokens += request.prompt_len
            self._stats.cached_tokens += cached
        else:
            self._stats.prompt_tokens += request.prompt_len - cached

    def abort(self, session: SessionState, error: BaseException) -> None:
        """Ends whatever runs for a session badly, and with it the script. KV is good up to here and stays."""
        for job in list(session.jobs):
            self._fail(job, error)
        self._then(session)

    def _abort(self, job: Job, error: BaseException) -> None:
        self._fail(job, error)
        self.abort(job.owner, error)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._leave(job)
        self._stats.failed_requests += 1
        self._stats.cancelled_requests += isinstance(error, RequestCancelled)
        job.fail(error)
        job.owner.fail(error)

    def _fail_step(self, plan: StepPlan, error: Exception) -> None:
        """The forward raised: its requests fail with the cause, their KV of this step is worthless, others go on."""
        for work in plan.work:
            job = self._jobs.get(work.request)
            if job is None:
                continue
            self._cache.detach(job.request.sequence)
            failure = StepFailed(f"the forward step failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._abort(job, failure)
