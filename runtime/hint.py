"""Hint: what a program knows of its future and tells the runtime, so that memory and scheduling can go by it."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Hint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What is known at one point of a session's script; None where nothing is.

    Attributes:
        gang: forks with the same number, of the same parent, are best run side by side, behind one prefix.
        remaining_calls: generates and scores that will follow on this session, or on its longest line of forks.
        remaining_tokens: at most as many tokens will follow, prompts included.
        extends_again: whether what the session holds now is the beginning of something that follows, so that its KV
            is worth keeping; False says that nobody will come back to it.
    """

    gang: int | None = None
    remaining_calls: int | None = None
    remaining_tokens: int | None = None
    extends_again: bool | None = None

    def over(self, earlier: Hint | None) -> Hint:
        """This, with what it does not know taken from an earlier hint."""
        if earlier is None:
            return self
        known = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return Hint(**{f.name: known.get(f.name, getattr(earlier, f.name)) for f in fields(self)})
