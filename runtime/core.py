"""EngineCore: the engine's inside: its loop, its sessions, and what their scripts ask for.

Everything here runs in the engine's thread, except `post`.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from grammars import Grammar, Spec
from runtime.compilation import Compilation
from runtime.config import EngineConfig
from runtime.constant_texts import ConstantTexts
from runtime.constraint.marker import Marker
from runtime.errors import ContextLengthExceeded, EngineClosed, EngineError, PoolCapacityExceeded
from runtime.job import Job, PrefillJob
from runtime.limiter import Limiter
from runtime.memory.budget import Budget
from runtime.memory.cache import PrefixCache
from runtime.memory.optimal import OptimalCache
from runtime.memory.pins import Pins
from runtime.memory.tiers.assembly import make_tiers
from runtime.memory.tiers.tier_stats import TierStats
from runtime.request import Request
from runtime.sampling.params import SamplingParams
from runtime.sampling.sampler import Sampler
from runtime.scheduler.scheduler import Scheduler
from runtime.script import Op
from runtime.session_state import SessionState
from runtime.session_table import SessionTable
from runtime.stats import Stats
from runtime.stepper import Stepper
from runtime.turns import Turns
from runtime.unconditional import UnconditionalLogprobs

if TYPE_CHECKING:
    from grammars.compiler import GrammarCompiler
    from runtime.runner import ModelRunner
    from runtime.tokenizer import Tokenizer

__all__ = ["EngineCore"]

IDLE_SECONDS = 0.005
MOST_MARKERS = 16


class EngineCore:
    """The engine's state and step loop.

    Args:
        config, budget: settings and what became of them.
        runner: computes batches.
        tokenizer: the vocabulary.
        compiler: turns constraints into grammars, off the step loop.
        fingerprint: of the model, for what is kept of its KV outside the pool.
    """

    def __init__(
        self,
        config: EngineConfig,
        budget: Budget,
        runner: ModelRunner,
        tokenizer: Tokenizer,
        compiler: GrammarCompiler,
        fingerprint: bytes = bytes(32),
    ) -> None:
        # First what other threads post to: those of the tiers begin before all of this is done.
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping = False
        self._gate = threading.RLock()
        self._closed: EngineClosed | None = None
        self.budget = budget
        self.tokenizer = tokenizer
        self.unconditional = UnconditionalLogprobs()
        self.constants = ConstantTexts(tokenizer)
        self.cache = PrefixCache(budget.num_pages, budget.page_size, config.memory.eviction, runner.copy_slots)
        self.runner = runner
        self.sessions = SessionTable(self.cache, runner.copy_slots, runner.put_kv)
        self.pins = Pins(self.cache)
        limits = budget.applied(config.scheduler)
        self.tier_stats = TierStats()
        self.tiers = make_tiers(config.memory, self.cache, runner.pool, fingerprint, self.tier_stats, self._wake)
        self.scheduler = Scheduler(self.cache, limits, self._reclaim, self.sessions.restore, self.tiers)
        self.limiter = Limiter(budget)
        self.stats = Stats()
        self.cache.tree.evicted = self.stats.timings.eviction.add
        self.failure: BaseException | None = None
        self._markers: dict[str, Marker] = {}
        self.jumps_forward = config.grammar.jump_forward
        self._config = config
        sampler = Sampler(tokenizer.vocab_size)
        self.optimal = OptimalCache() if config.memory.measure_optimal_hit_rate else None
        self._stepper = Stepper(
            self.cache, self.scheduler, self.limiter, runner, sampler, self.stats, self._job_ended, self.optimal
        )
        self._compilation = Compilation(compiler, self.post, self.stats, config.grammar.grammar_compile_seconds)
        self._random = random.Random()
        self._turns = Turns(self._advance)

    # ---- from any thread

    def post(self, action: Callable[[], None]) -> None:
        """Has `action` called in the engine's thread, before its next step; once that has ended, here and now."""
        self._inbox.put(action)
        if self._closed is not None:
            with self._gate:
                self._drain()

    def _wake(self) -> None:
        self.post(lambda: None)

    def leave(self, session: SessionState) -> None:
        """Has a session ended whose last user is gone.

        Garbage collection calls this, in any thread and whatever locks it holds, so it takes none of ours: putting
        into the queue is re-entrant, and once the loop has ended there is nothing left to end.
        """
        self._inbox.put(lambda: self._end(session))

    def halt(self) -> None:
        """Ends the loop after the present step; safe to call from the garbage collector."""
        self._inbox.put(self._stop)

    def _end(self, session: SessionState) -> None:
        self.cancel(session)
        self.sessions.drop(session)

    # ---- the loop

    def run(self) -> None:
        """Steps until `halt`; afterwards nothing that anybody waits for is left."""
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
            self._stepper.close()
            if self.tiers is not None:
                self.tiers.close(save=self.failure is None)

    def _stop(self) -> None:
        self._stopping = True

    def _drain(self) -> None:
        with suppress(Empty):
            while True:
                self._inbox.get_nowait()()

    def _rest(self) -> None:
        """Sleeps until there is work; a pause of some milliseconds is used to audit the books."""
        try:
            action = self._inbox.get(timeout=IDLE_SECONDS)
        except Empty:
            self.sessions.audit()
            try:
                action = self._inbox.get(timeout=self.scheduler.deadlines.seconds_left())
            except Empty:  # somebody's time is up
                return
        action()

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
        self.pins.expire()
        worked = self._stepper.step()
        if worked and self._config.audit == "step":
            self.sessions.audit()
        return worked

    def _reclaim(self) -> bool:
        """Memory is short: an idle session gives way; a pin only to a request that has nobody else to make room."""
        if self.sessions.reclaim():
            return True
        running = self.scheduler.running
        return len(running) <= 1 and all(self._is_short(request) for request in running) and self.pins.give_up()

    def _is_short(self, request: Request) -> bool:
        return self.cache.pages_missing(request.sequence, len(request.tokens)) > 0

    # ---- sessions

    def _job_ended(self, session: SessionState) -> None:
        self.sessions.touch(session)
        self.advance(session)

    def enqueue(self, session: SessionState, ops: list[Op]) -> None:
        """Adds to a session's script and goes on with it."""
        session.script.extend(ops)
        session.error = session.error or self._closed
        self.advance(session)

    def advance(self, session: SessionState) -> None:
        """Begins operations until one has to wait."""
        self._turns.give(session)

    def _advance(self, session: SessionState) -> None:
        while session.script and session.error is None and not session.is_busy:
            op = session.script.popleft()
            try:
                op.begin(self, session)
            except BaseException as error:  # the operation has left the script: nobody else would tell who waits
                op.abandon(error)
                session.fail(error)
                if not isinstance(error, Exception):
                    raise
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
        if session.ticket is not None:
            self._compilation.drop(session.ticket)
            session.ticket = None
        session.fail(error)
        self._stepper.abort(session, error)

    def ensure_begun(self, session: SessionState) -> None:
        """A model needs a token to start from: an empty session gets the begin token, or else the end token."""
        if not session.tokens:
            session.extend([self.begin_token])

    @property
    def begin_token(self) -> int:
        """What a text begins with where the model has to start from something."""
        begin = self.tokenizer.bos_token_id
        return begin if begin is not None else self.tokenizer.eos_token_ids[0]

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

    def request(
        self,
        session: SessionState,
        max_new_tokens: int | None,
        logits_from: int | None,
        priority: int = 0,
        deadline: float = math.inf,
    ) -> Request:
        """A request for the session's tokens."""
        if session.sequence is None:
            raise EngineError("the session was never opened")
        prompt = len(session.tokens)
        session.sequence.priority = priority
        limit = self.budget.max_sequence
        wanted = limit if max_new_tokens is None else prompt + max_new_tokens
        return Request(
            tokens=session.tokens,
            sequence=session.sequence,
            prompt_len=prompt,
            max_length=max(prompt, min(wanted, limit)),
            logits_from=logits_from,
            priority=priority,
            deadline=deadline,
            run=session.run,
            hint=session.hint,
        )

    def submit(self, job: Job) -> None:
        """Has a job run."""
        self._stepper.submit(job)

    def prefill(
        self,
        session: SessionState,
        then: Callable[[int], None],
        otherwise: Callable[[BaseException], None],
        priority: int = 0,
    ) -> None:
        """Computes what the session's tokens lack in KV, then calls `then` with how many tokens lacked nothing."""
        if session.sequence is not None and session.sequence.kv_len >= len(session.tokens):
            then(len(session.tokens))
            return
        self.check_length(session, 0)
        request = self.request(session, 0, None, priority)
        self.submit(PrefillJob(session, request, lambda: then(request.cached_tokens or 0), otherwise))

    def compile_ahead(self, spec: Spec) -> None:
        """Compiles a constraint that nobody waits for yet."""
        if self._compilation.find(spec) is None:
            self._compilation.submit(spec, lambda _: None)

    def compile(self, session: SessionState, spec: Spec, then: Callable[[Grammar], None], op: Op) -> None:
        """Compiles a constraint in another thread; the session waits, the step loop does not."""
        kept = self._compilation.find(spec)
        if kept is not None:
            then(kept)
            return
        session.is_suspended = True
        session.awaiting = op
        session.ticket = self._compilation.submit(spec, lambda done: self._compiled(session, done, then, op))

    def _compiled(
        self, session: SessionState, future: Future[Grammar], then: Callable[[Grammar], None], op: Op
    ) -> None:
        if session.error is not None:  # cancelled in the meantime
            return
        session.is_suspended = False
        session.awaiting = session.ticket = None
        try:
            then(future.result())
        except Exception as error:
            op.abandon(error)
            session.fail(error)
        self.advance(session)

    def seed(self, params: SamplingParams) -> int:
        """The request's seed: its own, or one nobody else has."""
        return params.seed if params.seed is not None else self._random.getrandbits(63)

    def marker(self, text: str) -> Marker:
        """The marker of that text; those used first are forgotten when there are many."""
        found = self._markers.get(text)
        if found is None:
            tokenizer = self.tokenizer
            ends, special = tokenizer.eos_token_ids, tokenizer.special_tokens
            found = Marker(text, tokenizer.token_bytes, tokenizer.prefixes, ends, special)
            self._markers[text] = found
            if len(self._markers) > MOST_MARKERS:
                del self._markers[next(iter(self._markers))]
        return found

    def flush_cache(self) -> int:
        """Drops every prefix nobody uses; returns the tokens dropped."""
        while self.sessions.reclaim():
            pass
        if self.tiers is None:
            return self.cache.tree.clear()
        self.tiers.forget()
        return self.tiers.drop_tree()
