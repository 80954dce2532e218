"""Objects and arrays that a value must differ from, followed while the value is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from grammars.json.keys import KeyTable
from grammars.json.node import Node
from grammars.json.unlike import Frozen, FrozenArray, FrozenObject, Values

__all__ = ["ArrayRivals", "Rivals"]

_Extra: TypeAlias = tuple[Node, ...]


class Rivals:
    """The objects one object must differ from, as bit masks over its labels.

    Args:
        values: makes constraints out of values.
        table: the labels; all names of the rivals are declared in it.
        available: the labels that may come at all: what has another name is different anyway.
        rivals: the objects; other values among them are passed over.
    """

    def __init__(self, values: Values, table: KeyTable, available: int, rivals: Iterable[Frozen]) -> None:
        self._values = values
        self._items: dict[FrozenObject, dict[int, Frozen]] = {}
        self._masks: dict[FrozenObject, int] = {}
        for rival in rivals:
            if isinstance(rival, FrozenObject):
                items = {table.label(name): held for name, held in rival.items}
                labels = [label for label in items if label is not None and available >> label & 1]
                if len(labels) == len(items):
                    self._items[rival] = {label: items[label] for label in labels}
                    self._masks[rival] = sum(1 << label for label in labels)
        self.all = frozenset(self._items)

    def advance(
        self, rivals: frozenset[FrozenObject], before: int, after: int, label: int
    ) -> Iterator[tuple[frozenset[FrozenObject], _Extra]]:
        """The ways one property may be like the rivals: those equal so far after it, and what that asks of its value.

        Args:
            rivals: those equal before.
            before, after: the labels available before and after the property.
            label: its label.
        """
        skipped = before & ~after & ~(1 << label)
        groups: dict[Frozen, list[FrozenObject]] = {}
        for rival in rivals:
            if self._masks[rival] >> label & 1 and not self._masks[rival] & skipped:
                groups.setdefault(self._items[rival][label], []).append(rival)
        yield frozenset(), (self._values.unlike(groups),) if groups else ()
        for value, group in groups.items():
            yield frozenset(group), (self._values.equal(value),)

    def is_equal(self, rivals: frozenset[FrozenObject], available: int) -> bool:
        """Whether an object that ends now is equal to one of them."""
        return any(not self._masks[rival] & available for rival in rivals)


class ArrayRivals:
    """The arrays one array must differ from."""

    def __init__(self, values: Values, rivals: Iterable[Frozen]) -> None:
        self._values = values
        self.all = frozenset(rival for rival in rivals if isinstance(rival, FrozenArray))
        self.longest = max((len(rival.items) for rival in self.all), default=-1)

    def advance(self, rivals: frozenset[FrozenArray], index: int) -> Iterator[tuple[frozenset[FrozenArray], _Extra]]:
        """The ways one item may be like the rivals: those equal so far after it, and what that asks of it."""
        groups: dict[Frozen, list[FrozenArray]] = {}
        for rival in rivals:
            if len(rival.items) > index:
                groups.setdefault(rival.items[index], []).append(rival)
        yield frozenset(), (self._values.unlike(groups),) if groups else ()
        for value, group in groups.items():
            yield frozenset(group), (self._values.equal(value),)

    def is_equal(self, rivals: frozenset[FrozenArray], length: int) -> bool:
        """Whether an array of that length, all of it read, is equal to one of them."""
        return any(len(rival.items) == length for rival in rivals)
