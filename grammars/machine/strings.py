"""The strings that every JSON grammar has: any content, any name, any content of bounded length.

Their masks depend on the vocabulary alone, so they are found out once, before any grammar asks, and kept on disk.
"""

from __future__ import annotations

from grammars.machine.lexeme import Counts, Lexemes
from grammars.machine.machine import Machine
from grammars.machine.moves import label_move
from grammars.machine.spelling import CharState
from grammars.machine.tables import VocabularyTables
from grammars.regular.language import Languages

__all__ = ["ANY_NAME", "MACHINE_BYTES", "any_name", "any_string", "counted_string", "find_out"]

ANY_NAME = 2
"""The label of a name that belongs to the class of all names."""
MACHINE_BYTES = 2**26
"""What machines may take that belong to no grammar."""


def any_string(machine: Machine) -> Lexemes:
    """Strings of any content, spelled in any way."""
    return Lexemes(machine, "json", shared="string")


def any_name(machine: Machine) -> Lexemes:
    """Names of any content, each in its one spelling, so that no name comes twice under two."""
    return Lexemes(machine, "canonical", ending=lambda _: label_move(ANY_NAME), shared="name")


def counted_string(machine: Machine, low: int, high: int | None) -> Lexemes:
    """Strings of any content with `low` to `high` characters (None: without end)."""
    return Lexemes(machine, "json", counts=Counts(low, high, _anything), shared="counted")


def _anything(_: CharState) -> tuple[int, int | None]:
    return 0, None


def find_out(tables: VocabularyTables) -> None:
    """Finds out the masks of these strings, or reads them where they are kept already."""
    if tables.restore():
        return
    machine, everything = Machine(tables, max_bytes=MACHINE_BYTES), Languages().everything
    for lexemes in (any_string(machine), any_name(machine)):
        machine.lexemes.make(lexemes.state(everything), 0)
    most = tables.longest
    counted = counted_string(machine, 0, most).state(everything)
    for room in range(most + 1):
        machine.lexemes.make(counted, room)
    counted = counted_string(machine, most, None).state(everything)
    for need in range(1, most + 1):
        machine.lexemes.make(counted, need * (most + 1) + most)
