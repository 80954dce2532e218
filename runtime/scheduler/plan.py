"""StepPlan: what one step computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from runtime.request import Request

__all__ = ["StepPlan", "Work"]


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
    """

    extends: list[Work] = field(default_factory=list)
    decodes: list[Work] = field(default_factory=list)
    exhausted: list[Request] = field(default_factory=list)

    def add(self, request: Request, num_tokens: int) -> None:
        """Puts work where it belongs by its size: a one-token extend is a decode."""
        (self.decodes if num_tokens == 1 else self.extends).append(Work(request, num_tokens))

    @property
    def work(self) -> list[Work]:
        """Everything, in batch order."""
        return self.extends + self.decodes

    def __bool__(self) -> bool:
        return bool(self.extends or self.decodes or self.exhausted)
