"""Counters of an engine since its start."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.timings import Timings

__all__ = ["Stats"]


@dataclass(slots=True)
class Stats:
    """What was done so far; every prompt token is either cached or computed.

    Attributes:
        prompt_tokens: tokens that stood before what was asked for, over all calls.
        cached_tokens: of those, not run through the model because their KV was there.
        computed_tokens: of those, run through the model.
        recomputed_tokens: run once more after a retraction.
        generated_tokens: sampled, stopping tokens included.
        forced_tokens: appended by a grammar without the model.
        steps: forward passes.
        requests, failed_requests: ended, and ended with an error. timed_out_requests: ended by their timeout.
        cancelled_requests: of the failed ones, those that somebody cancelled.
        concatenated_tokens: taken over from forks with their KV.
        hints: received about programs' futures.
        grammar_compilations: constraints compiled, the failed ones included. grammar_failures: failed, or given up.
        grammar_cache_hits: requests whose constraint was compiled already.
        grammar_compile_seconds, grammar_mask_seconds: spent on compiling, and on filling masks, off the step loop.
        timings: how long requests took.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    computed_tokens: int = 0
    recomputed_tokens: int = 0
    generated_tokens: int = 0
    forced_tokens: int = 0
    steps: int = 0
    requests: int = 0
    failed_requests: int = 0
    timed_out_requests: int = 0
    cancelled_requests: int = 0
    concatenated_tokens: int = 0
    hints: int = 0
    grammar_compilations: int = 0
    grammar_cache_hits: int = 0
    grammar_failures: int = 0
    grammar_compile_seconds: float = 0.0
    grammar_mask_seconds: float = 0.0
    timings: Timings = field(default_factory=Timings)
