"""A spec compiled to a machine."""

from __future__ import annotations

import numpy as np

from grammars.machine.machine import Machine
from grammars.machine.matcher import MachineMatcher

__all__ = ["MachineGrammar"]


class MachineGrammar:
    """Fulfils `grammars.grammar.Grammar`.

    Args:
        machine: the tables, which grow as texts come to new places.
        start: the state before the first byte; None where no text is accepted.
        warnings: every relaxation made of the spec.
    """

    def __init__(self, machine: Machine, start: int | None, warnings: tuple[str, ...]) -> None:
        self.machine = machine
        self.warnings = warnings
        rows = [] if start is None else [(start, 0, machine.bottom)]
        self._start = np.array(rows, np.int32).reshape(-1, 3)

    @property
    def num_bytes(self) -> int:
        """Memory the tables take by now."""
        return self.machine.num_bytes

    @property
    def is_spent(self) -> bool:
        """Whether texts that begin now had better begin with a grammar compiled anew."""
        return self.machine.is_spent

    def matcher(self) -> MachineMatcher:
        """A fresh matcher at the start of the text."""
        return MachineMatcher(self.machine, self._start)
