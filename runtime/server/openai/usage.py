"""Usage: what a request has cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.handle import Generation

__all__ = ["usage_of", "usage_so_far"]


def usage_of(results: Sequence[Generation], n: int) -> dict[str, Any]:
    """Of finished generations; a prompt counts once, however many samples it has.

    Args:
        results: `n` of the first prompt, then `n` of the second, and so on.
    """
    firsts = results[::n]
    return _usage(
        sum(one.prompt_tokens for one in firsts),
        sum(one.num_generated for one in results),
        sum(one.cached_tokens for one in firsts),
    )


def usage_so_far(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    """Of generations that go on."""
    return _usage(prompt_tokens, completion_tokens, None)


def _usage(prompt: int, completion: int, cached: int | None) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": None if cached is None else {"cached_tokens": cached},
    }
