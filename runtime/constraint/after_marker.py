"""AfterMarker: a grammar that begins only where a model's reasoning ends."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from grammars import MaskRow, Matcher
from runtime.constraint.marker import Marker
from runtime.constraint.staged import Staged

__all__ = ["AfterMarker"]


class AfterMarker(Staged):
    """Lets everything through until the marker, then what the grammar allows, from the byte after the marker on.

    Until then the text cannot end, and no token reaches beyond the marker.

    Args:
        marker: ends the free text; shared.
        rest: the grammar.
    """

    def __init__(self, marker: Marker, rest: Matcher) -> None:
        super().__init__(rest, 0)
        self._marker = marker

    @override
    def _advance(self, token: int) -> tuple[int, Sequence[int]] | None:
        state = self._marker.after(self._state, token)
        return None if state is None else (state, ())

    @override
    def _fill(self, row: MaskRow) -> None:
        self._marker.fill(row, self._state)
