"""FieldNotes: one warning for each name of a field that nothing here understands."""

from __future__ import annotations

import logging
from collections.abc import Iterable

__all__ = ["FieldNotes"]

log = logging.getLogger("sgdsl.server")

MOST_NAMES = 200


class FieldNotes:
    """Clients add fields every month; each is ignored, and said once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def ignored(self, names: Iterable[str], where: str) -> None:
        """These fields of a request were ignored."""
        for name in names:
            if name not in self._seen and len(self._seen) < MOST_NAMES:
                self._seen.add(name)
                log.warning("%s: field %.80r is not known here and is ignored", where, name)
