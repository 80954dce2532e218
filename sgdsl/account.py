"""Account: what everything run inside a block has cost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sgdsl.usage import Usage

__all__ = ["Account", "accounts", "usage"]

_open: ContextVar[frozenset[Account]] = ContextVar("sgdsl_accounts", default=frozenset())


class Account:
    """Usage so far of every program started inside a block, and of the programs, forks and batches inside those.

    Attributes:
        by_program: the same for each program's name; what it spent in programs it called is theirs.
    """

    def __init__(self) -> None:
        self.by_program: dict[str, Usage] = {}
        self._lock = threading.Lock()

    def add(self, program: str, spent: Usage) -> None:
        """A program's calls have ended."""
        with self._lock:
            self.by_program[program] = self.by_program.get(program, Usage()) + spent

    @property
    def total(self) -> Usage:
        """All of it."""
        with self._lock:
            return sum(self.by_program.values(), Usage())

    @property
    def gens(self) -> int:
        """Finished generate calls, samples counted."""
        return self.total.gens

    @property
    def selects(self) -> int:
        """Finished selects."""
        return self.total.selects

    @property
    def prompt_tokens(self) -> int:
        """Tokens before those calls."""
        return self.total.prompt_tokens

    @property
    def cached_tokens(self) -> int:
        """Of the prompt tokens, those that needed no computing."""
        return self.total.cached_tokens

    @property
    def generated_tokens(self) -> int:
        """New tokens."""
        return self.total.generated_tokens

    @property
    def forced_tokens(self) -> int:
        """Of the generated tokens, those that needed no model."""
        return self.total.forced_tokens

    @property
    def saved_calls(self) -> int:
        """Gens that needed no call of their own, because an earlier one had written ahead."""
        return self.total.saved_calls

    def __repr__(self) -> str:
        return f"<account of {', '.join(self.by_program) or 'nothing'}: {self.total}>"


def accounts() -> frozenset[Account]:
    """The accounts of the blocks that are open here."""
    return _open.get()


@contextmanager
def usage() -> Iterator[Account]:
    """`with sgdsl.usage() as u:` sums up what the programs started inside cost, in this thread or task.

    Blocks may be nested; each counts all of what is inside it. Calls count when they end, also after the block.
    """
    account = Account()
    token = _open.set(_open.get() | {account})
    try:
        yield account
    finally:
        _open.reset(token)
