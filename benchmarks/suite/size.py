"""Size: how much of a workload is run."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

__all__ = ["SIZES", "Size"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Size:
    """Full, for figures, or small, to see that everything runs.

    Attributes:
        name: as on the command line.
    """

    name: str

    def of(self, full: T, small: T) -> T:
        """The one of two amounts that holds for this size."""
        return full if self.name == "full" else small


SIZES = MappingProxyType({name: Size(name) for name in ("small", "full")})
