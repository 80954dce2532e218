"""Finding: something that a check found in a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sgdsl.source import Source

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where.

    Attributes:
        check: which check found it.
        message: what is wrong.
        source: the program line.
        severity: "error" where the program cannot run through, "warning" where something in it means nothing.
    """

    check: str
    message: str
    source: Source | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = "" if self.source is None else f"{self.source}: "
        return f"{place}{self.message}"
