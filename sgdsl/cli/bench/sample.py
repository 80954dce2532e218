"""Sample: what one request came to."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["NO_CONNECTION", "Sample"]

NO_CONNECTION = "no connection"
"""The kind of failure of a request that reached no server."""


@dataclass(slots=True)
class Sample:
    """Times are seconds on the monotonic clock.

    Attributes:
        began: when it was sent.
        ended: when the last of the answer was there, or it had failed.
        arrivals: when each piece of the answer's text came.
        text: the answer.
        prompt_tokens, new_tokens, cached_tokens: as the server counts them; None where it does not say.
        error: what kind of failure it was; None for none.
        detail: the failure in words.
    """

    began: float
    ended: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    text: str = ""
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    cached_tokens: int | None = None
    error: str | None = None
    detail: str = ""

    @property
    def num_new(self) -> int:
        """Tokens of the answer; its pieces where the server did not count."""
        return len(self.arrivals) if self.new_tokens is None else self.new_tokens

    @property
    def first_seconds(self) -> float | None:
        """To the first piece of text."""
        return self.arrivals[0] - self.began if self.arrivals else None

    @property
    def token_seconds(self) -> float | None:
        """From token to token, on average over the answer; None for fewer than two."""
        return (
            (self.arrivals[-1] - self.arrivals[0]) / (self.num_new - 1) if self.num_new > 1 and self.arrivals else None
        )

    @property
    def gaps(self) -> list[float]:
        """From piece to piece."""
        return [after - before for before, after in zip(self.arrivals, self.arrivals[1:], strict=False)]
