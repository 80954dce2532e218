"""Account: what is known of one request by the time it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from runtime.handle import Generation, Handle

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams

__all__ = ["ACCOUNT", "Account"]


@dataclass(slots=True)
class Account:
    """Handlers write into it what they know. Texts of users have no place here.

    Attributes:
        id: the request's, from its `X-Request-Id` or made here.
        key: the name of the API key it came with; empty without one.
        prompt_tokens, cached_tokens, completion_tokens: of all its generations; a prompt counts once.
        finish_reasons: of those that ended well, in order.
        params: how it was sampled.
    """

    id: str
    key: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    finish_reasons: list[str] = field(default_factory=list)
    params: SamplingParams | None = None

    def count(self, params: SamplingParams, handles: Sequence[Handle[Generation]]) -> None:
        """Adds generations that are over, or were cut off.

        Args:
            params: of all of them; `n` in a row have the same prompt.
        """
        self.params = params
        for place, handle in enumerate(handles):
            if not handle.done() or handle.error() is not None:
                self.completion_tokens += sum(len(chunk.token_ids) for chunk in handle.chunks)
                continue
            result = handle.result()
            self.completion_tokens += result.num_generated
            self.finish_reasons.append(result.finish_reason)
            if place % params.n == 0:
                self.prompt_tokens += result.prompt_tokens
                self.cached_tokens += result.cached_tokens


ACCOUNT: web.RequestKey[Account] = web.RequestKey("account", Account)
