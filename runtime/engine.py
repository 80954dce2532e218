"""Engine: the facade. Requests in, tokens out, from threads and coroutines, in a thread of this very process."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from runtime.call import Ask, Params
from runtime.calls import Calls
from runtime.chat_template import ChatTemplate
from runtime.config import EngineConfig
from runtime.errors import ConfigError, EngineClosed
from runtime.handle import Handle
from runtime.inventory import inventory
from runtime.session import Session
from runtime.session_state import SessionState, check_namespace
from runtime.startup import Assembled, start
from runtime.tokenizer import Tokenizer
from runtime.tokenizer_manager import TokenizerManager

if TYPE_CHECKING:
    from grammars import Spec
    from runtime.core import EngineCore

__all__ = ["Engine"]


class Engine:
    """A model, its KV pool and its step loop.

    Use it as a context manager, or call `shutdown`.

    Args:
        model: a built-in name (`smollm2`), a folder, a GGUF file or a hub id; also as `model_path`.
        settings: fields of `ModelSettings`, `MemoryConfig` and `SchedulerConfig` in `runtime.config`, flat.

    Raises:
        ConfigError, ModelLoadError: see there.
    """

    def __init__(self, model: str | None = None, *, model_path: str | None = None, **settings: Any) -> None:
        if model is not None and model_path is not None:
            raise ConfigError(f"model={model!r} and model_path={model_path!r} are given together: one is allowed")
        config = EngineConfig.of({"model": model or model_path or "smollm2", **settings})
        self._begin(config, start(config))

    @classmethod
    def of(cls, config: EngineConfig, assembled: Assembled) -> Engine:
        """An engine around a model that is loaded already."""
        engine = cls.__new__(cls)
        engine._begin(config, assembled)
        return engine

    def _begin(self, config: EngineConfig, assembled: Assembled) -> None:
        self.config = config
        self._assembled = assembled
        self._core = assembled.core
        self._closed = False
        self._process = os.getpid()
        self._calls = Calls(self.open)
        self._thread = threading.Thread(target=self._core.run, name="sgdsl-engine", daemon=True)
        self._thread.start()
        # The thread knows the core alone, so an engine nobody holds any more stops. One that lives to the end of the
        # process is stopped before the interpreter tears its threads down in the middle of a step.
        weakref.finalize(self, self._core.halt).atexit = False
        self._at_exit = partial(_shut_down, weakref.ref(self))
        atexit.register(self._at_exit)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self._assembled.tokenizer

    @property
    def chat_template(self) -> ChatTemplate | None:
        """The model's chat template, if it has one."""
        return self._assembled.chat_template

    @property
    def context_length(self) -> int:
        """Tokens of the longest sequence."""
        return self._core.budget.context_length

    @property
    def failure(self) -> BaseException | None:
        """Why it serves nobody any more; None while it does."""
        return self._core.failure or (EngineClosed("the engine was shut down") if self._closed else None)

    def remember(self, texts: Iterable[str]) -> None:
        """Tokenizes texts that many sessions are going to append, so that none of them has to do it again."""
        self._core.constants.remember(texts)

    def compile_ahead(self, constraints: Iterable[Spec]) -> None:
        """Begins to compile grammars that will be needed; does not wait. One that fails fails whoever uses it.

        Raises:
            EngineClosed: after `shutdown`.
        """
        self._check_open()
        for spec in constraints:
            self._core.post(partial(self._core.compile_ahead, spec))

    def open(self, *, namespace: str = "", program: str = "") -> Session:
        """Opens an empty session.

        Args:
            namespace: sessions of different namespaces never share KV.
            program: a name for error messages.

        Raises:
            InvalidParameter: `namespace` is no text, or holds half of a surrogate pair.
            EngineClosed: after `shutdown`.
        """
        check_namespace(namespace)
        self._check_open()
        state = SessionState(namespace, program)
        self._core.post(partial(self._core.sessions.take_up, state))
        return Session(self._core, self.tokenizer, state)

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        sampling_params: Params | Sequence[Params] = None,
        *,
        input_ids: Sequence[int] | Sequence[Sequence[int]] | None = None,
        stream: bool = False,
        return_logprob: bool = False,
        logprob_start_len: int | None = None,
        top_logprobs_num: int = 0,
        rid: str | Sequence[str] | None = None,
    ) -> Any:
        """Generates for one prompt or a list of them, shaped as SGLang's `Engine.generate`.

        Args:
            prompt, input_ids: text, or token ids; one, or a list.
            sampling_params: for all, or a list of as many.
            stream: see below.
            return_logprob, logprob_start_len, top_logprobs_num: log probabilities, from which token of the prompt on,
                with how many alternatives.
            rid: a name to abort it by, or one for each prompt; a single one is numbered where there are several.

        Returns:
            `{"text", "output_ids", "meta_info"}`, a list of those for a list (and for n > 1), or with `stream=True` an
            iterator of such answers with the text so far.

        Raises:
            InvalidParameter: not exactly one of prompt and input_ids, or parameters that do not fit.
            EngineError: whatever the first failing prompt failed with.
        """
        ask = Ask(return_logprob, logprob_start_len, top_logprobs_num)
        calls, is_list = self._calls.begin(prompt, input_ids, sampling_params, ask, rid, stream)
        if stream:
            return calls[0].stream()
        try:
            answers = [call.answer() for call in calls]
        finally:  # after a failure or an interrupt nobody waits for the others
            for call in calls:
                call.drop()
        return answers if is_list else answers[0]

    async def async_generate(
        self,
        prompt: str | Sequence[str] | None = None,
        sampling_params: Params | Sequence[Params] = None,
        *,
        input_ids: Sequence[int] | Sequence[Sequence[int]] | None = None,
        stream: bool = False,
        return_logprob: bool = False,
        logprob_start_len: int | None = None,
        top_logprobs_num: int = 0,
        rid: str | Sequence[str] | None = None,
    ) -> Any:
        """As `generate`, without blocking; with `stream=True` it returns an async iterator."""
        ask = Ask(return_logprob, logprob_start_len, top_logprobs_num)
        calls, is_list = self._calls.begin(prompt, input_ids, sampling_params, ask, rid, stream)
        if stream:
            return calls[0].async_stream()
        try:
            answers = await asyncio.gather(*(call.async_answer() for call in calls))
        finally:
            for call in calls:
                call.drop()
        return list(answers) if is_list else answers[0]

    def abort_request(self, rid: str = "", abort_all: bool = False) -> int:
        """Ends generate calls; whoever waits for one gets what there is by then, its finish reason being "abort".

        Args:
            rid: the name that the call was given; nothing happens where there is no such one.
            abort_all: all of them instead.

        Returns:
            How many that were.
        """
        return self._calls.abort(None if abort_all else rid)

    async def check_health(self) -> None:
        """Raises EngineClosed where it serves nobody any more."""
        self._check_open()

    @cached_property
    def tokenizer_manager(self) -> TokenizerManager:
        """Where hosts made for SGLang look for the tokenizer; needs `transformers`."""
        return TokenizerManager(self.tokenizer)

    def stats(self) -> dict[str, Any]:
        """Counters since start (see `runtime.stats.Stats`), what runs and waits now, hit rates and the memory ledger.

        `cache_hit_rate_optimal` is what a cache would have reached that never forgets; None where it is not measured.
        `limited_by` names the setting that keeps waiting requests from running now, `limited_steps` counts the steps in
        which each did. `timings` holds histograms (see `runtime.timings`).
        """
        core = self._core
        counters = {name: getattr(core.stats, name) for name in core.stats.__slots__}
        return {
            **counters,
            **asdict(core.tier_stats),
            "timings": core.stats.timings.table(),
            "retractions": core.scheduler.num_retractions,
            "preemptions": core.scheduler.num_preemptions,
            "running": len(core.scheduler.running),
            "waiting": len(core.scheduler.waiting),
            "limited_by": core.limiter.limited_by,
            "limited_steps": dict(core.limiter.steps),
            "evicted_tokens": core.cache.tree.num_evicted,
            "evictable_tokens": core.cache.tree.num_evictable,
            "cache_hit_rate": core.stats.cached_tokens / max(1, core.stats.prompt_tokens),
            "cache_hit_rate_optimal": None if core.optimal is None else core.optimal.hit_rate,
            "pins": len(core.pins.held),
            "pinned_tokens": sum(core.pins.held),
            "pins_expired": core.pins.num_expired,
            "pins_given_up": core.pins.num_given_up,
            "ledger": core.cache.pool.ledger.table(),
        }

    def describe(self) -> dict[str, str]:
        """What runs: model, weight format, attention, grammars, and the settings with the reason for each."""
        grammar = self.config.grammar
        described = {
            "model": self._assembled.model_name,
            **self._assembled.runner.describe(),
            "grammar_engine": grammar.grammar_engine,
            "jump_forward": "on" if grammar.jump_forward else "off",
        }
        return {**described, **{one.name: f"{one.became} ({one.why})" for one in self._core.budget.settings}}

    def budget_lines(self) -> list[str]:
        """The table of what every setting became and why, and what limits concurrency."""
        return self._core.budget.lines()

    def server_info(self) -> dict[str, Any]:
        """What runs, every setting as asked, became and why, what limits concurrency, and `stats`, as plain data."""
        runs = {"model": self._assembled.model_name, **self._assembled.runner.describe()}
        return {**runs, **self._core.budget.info(), "stats": self.stats()}

    def cache(self, limit: int = 100, *, namespace: str | None = None) -> dict[str, Any]:
        """What is in the prefix cache, the last used first, and who holds what, as plain data.

        Args:
            limit: nodes of the tree that are told of.
            namespace: only that one's.
        """
        self._check_open()
        done: Handle[dict[str, Any]] = Handle()
        self._core.post(lambda: _told(done, self._core, limit, namespace))
        return done.result(timeout=60)

    def pin(self, prompt: str | Sequence[int], ttl_seconds: float, *, namespace: str = "") -> str:
        """Keeps a prefix in the cache, whole pages of it; what of it is not cached yet is computed.

        A pin gives way to nothing but a request that would not even fit alone, which is counted in `stats`.

        Args:
            prompt: text, or token ids.
            ttl_seconds: for how long; `math.inf` for until it is unpinned.
            namespace: as in `open`.

        Returns:
            The pin's name, for `unpin`.

        Raises:
            InvalidParameter: the prompt fills no page, or `ttl_seconds` is no positive number.
            ContextLengthExceeded, PoolCapacityExceeded: the prompt is longer than a request, or the pool, can be.
        """
        with self.open(namespace=namespace) as session:
            session.append(prompt)
            return session.pin(ttl_seconds).result()

    def unpin(self, pin: str) -> bool:
        """Ends a pin; False where there is no such one, or it has expired."""
        self._check_open()
        done: Handle[bool] = Handle()
        self._core.post(lambda: done.finish(self._core.pins.remove(pin)))
        return done.result(timeout=60)

    def flush_cache(self) -> int:
        """Forgets every prefix that nothing running needs; returns how many tokens that were."""
        self._check_open()
        done: Handle[int] = Handle()
        self._core.post(lambda: done.finish(self._core.flush_cache()))
        return done.result(timeout=60)

    def shutdown(self) -> None:
        """Ends the step loop; whatever still runs fails with EngineClosed. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        self._core.halt()
        self._thread.join()

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise EngineClosed("the engine is the parent process's: a forked child has to make one of its own")
        if self._core.failure is not None:
            raise EngineClosed(f"the engine died: {self._core.failure}") from self._core.failure
        if self._closed:
            raise EngineClosed("the engine was shut down")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def _shut_down(engine: weakref.ref[Engine]) -> None:
    alive = engine()
    if alive is not None:
        alive.shutdown()


def _told(done: Handle[dict[str, Any]], core: EngineCore, limit: int, namespace: str | None) -> None:
    try:
        done.finish(inventory(core, limit, namespace))
    except Exception as error:  # looking must not end the loop
        done.fail(error)
