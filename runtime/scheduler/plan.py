"""StepPlan: what one step computes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from runtime.request import Request

__all__ = ["Limit", "StepPlan", "Work"]


class Limit(enum.Enum):
    """Why nobody else was given a place, though others wait."""

    PLACES = "max_running_requests"
    TOKENS = "chunked_prefill_size"
    MEMORY = "max_total_tokens"
    PREFIX = "shared_prefix"
    TIERS = "tiers"


class Work(NamedTuple):
    """`num_tokens` tokens of one request, from its cursor on."""

    request: Request
    num_tokens: int

    @property
    def completes(self) -> bool:
        """Whether the request's next token can be sampled after this work."""
        return self.num_tokens == self.request.num_pending


@dataclass(slots=True)
class StepPlan:
    """One step: extends of more than one token, then decodes of exactly one.

    Attributes:
        exhausted: requests that hold the whole pool and still need more; they end here, for length.
        limit: what keeps those who wait from running, where any do.
    """

    extends: list[Work] = field(default_factory=list)
    decodes: list[Work] = field(default_factory=list)
    exhausted: list[Request] = field(default_factory=list)
    limit: Limit | None = None

    def add(self, request: Request, num_tokens: int) -> None:
        """Puts work where it belongs by its size: a one-token extend is a decode."""
        (self.decodes if num_tokens == 1 else self.extends).append(Work(request, num_tokens))

    def drop(self, request: Request) -> None:
        """Nothing of a request is computed in this step."""
        self.extends = [work for work in self.extends if work.request is not request]
        self.decodes = [work for work in self.decodes if work.request is not request]

    @property
    def work(self) -> list[Work]:
        """Everything, in batch order."""
        return self.extends + self.decodes

    def __bool__(self) -> bool:
        return bool(self.extends or self.decodes or self.exhausted)
