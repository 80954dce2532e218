"""Staged: a constraint of two stages, first one of the engine's own and then a grammar's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Self

from grammars import MaskRow, Matcher

__all__ = ["OVER", "Staged", "present"]

OVER = -1
"""The state of a first stage that has ended."""


class Staged(ABC):
    """A `grammars.grammar.Matcher` that restricts the first tokens itself and leaves all later ones to another.

    The token that ends the first stage may reach into the second: then the grammar reads the rest of it as tokens
    ("pieces") that spell the same bytes.

    Args:
        rest: the grammar of the second stage, at its start; None where anything may follow.
        state: of the first stage; `OVER` after it.
    """

    def __init__(self, rest: Matcher | None, state: int) -> None:
        self.rest = rest
        self._state = state
        # Per token: the state before it, and how many tokens the second stage read of it.
        self._taken: list[tuple[int, int]] = []

    @property
    def is_over(self) -> bool:
        """Whether the first stage has ended, so that `rest` alone says what may come."""
        return self._state == OVER

    @abstractmethod
    def _advance(self, token: int) -> tuple[int, Sequence[int]] | None:
        """The first stage's state after `token`, and what of it the second stage has to read; None: not allowed."""

    @abstractmethod
    def _fill(self, row: MaskRow) -> None:
        """Overwrites `row` with what the first stage allows."""

    def mask_into(self, row: MaskRow) -> None:
        """Overwrites `row` with the tokens that may come next."""
        if not self.is_over:
            self._fill(row)
        elif self.rest is None:
            row.fill(-1)
        else:
            self.rest.mask_into(row)

    def accept(self, token: int) -> bool:
        """Advances by one token; False, and no change, when it is not allowed."""
        step = (OVER, [token] if self.rest is not None else []) if self.is_over else self._advance(token)
        if step is None or not self._feed(step[1]):
            return False
        self._taken.append((self._state, len(step[1])))
        self._state = step[0]
        return True

    def _feed(self, pieces: Sequence[int]) -> bool:
        if self.rest is None:
            return True
        for count, piece in enumerate(pieces):
            if not self.rest.accept(piece):
                self.rest.rollback(count)
                return False
        return True

    def forced(self) -> list[int]:
        """What the grammar forces; nothing before it has begun."""
        return self.rest.forced() if self.is_over and self.rest is not None else []

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last `num_tokens` tokens; ValueError when fewer were accepted."""
        if not 0 <= num_tokens <= len(self._taken):
            raise ValueError(f"num_tokens: {num_tokens} is not in 0..{len(self._taken)}, the tokens accepted")
        for _ in range(num_tokens):
            self._state, pieces = self._taken.pop()
            if self.rest is not None:
                self.rest.rollback(pieces)

    def fork(self) -> Self:
        """An independent matcher at the same point."""
        twin = copy(self)
        twin.rest = None if self.rest is None else self.rest.fork()
        twin._taken = list(self._taken)
        return twin

    def is_complete(self) -> bool:
        """Whether the text so far is accepted as it stands."""
        return self.is_over and (self.rest is None or self.rest.is_complete())

    def is_exhausted(self) -> bool:
        """Whether nothing but the end may follow."""
        return self.is_over and self.rest is not None and self.rest.is_exhausted()


def present(matcher: Matcher | None) -> Matcher | None:
    """Whoever says at present what may come: stages that are over are passed by, so that masks are filled at once."""
    while isinstance(matcher, Staged) and matcher.is_over:
        matcher = matcher.rest
    return matcher
