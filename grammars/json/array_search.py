"""Whether an array that has been begun can be completed."""

from __future__ import annotations

from collections.abc import Generator, Set
from typing import TYPE_CHECKING

from grammars.errors import GrammarLimit
from grammars.json.emptiness import Asking
from grammars.json.matching import can_match
from grammars.json.node import Node
from grammars.json.residual import explore

if TYPE_CHECKING:
    from grammars.json.arrays import ArrayResidual, ArrayShape
    from grammars.json.unlike import Frozen

__all__ = ["ArraySearch"]

_FEW = 17
"""Of items with fewer values than that, it is looked at which are used up."""


class ArraySearch:
    """A search over the items that may be read next.

    Where items must be distinct, they are counted as long as few scalars may be items; that there are enough different
    arrays and objects is taken for granted.

    Args:
        shape: the shape the array has.
    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape

    def completes(self, residual: ArrayResidual) -> Asking:
        """Asks about the items a completion needs; returns whether there is one.

        Raises:
            GrammarLimit: more than `limits.search` places were looked at.
        """
        shape = self._shape
        limit = shape.shapes.limits.search
        seen = {residual}
        stack = [residual]
        steps = 0
        while stack:
            steps += 1
            if steps > limit:
                raise GrammarLimit(f"json_schema: more than {limit} steps to complete one array")
            here = stack.pop()
            if shape.closes(here):
                return True
            if self._is_plain(here):
                if (yield from self._completes_plain(here)):
                    return True
                continue
            for left in (yield from self._read(here)):
                if left not in seen:
                    seen.add(left)
                    stack.append(left)
        return False

    def _is_plain(self, here: ArrayResidual) -> bool:
        return (
            not here.clauses
            and not here.rivals
            and here.twin is None
            and all(counter == (0, None) for counter in here.counters)
        )

    def _completes_plain(self, here: ArrayResidual) -> Asking:
        """Whether each of the items still required can be."""
        shape = self._shape
        if shape.high is not None and shape.low > shape.high:
            return False
        for first in (here.num_read, *(cut for cut in shape.cuts if here.num_read < cut < shape.low)):
            if (yield shape.item(first)):
                return False
        return not shape.distinct or can_match(self._choices(here.num_read), here.taken)

    def _choices(self, index: int) -> list[Set[Frozen]]:
        """The values of each required item from an index on that has fewer of them than there are items in all."""
        shape = self._shape
        found = (shape.shapes.scalars.few_values(shape.item(at), shape.low) for at in range(index, shape.low))
        return [values for values in found if values is not None]

    def spoiling(self, here: ArrayResidual) -> list[Frozen]:
        """The values that must not be the next item of an array of distinct ones.

        Those that are there, and those that would be missed among the values of the items to come.
        """
        choices = self._choices(here.num_read + 1)
        needed = dict.fromkeys(value for values in choices for value in values if value not in here.taken)
        spoils = (value for value in needed if not can_match(choices, here.taken | {value}))
        return [*here.taken, *spoils]

    def _read(self, here: ArrayResidual) -> Generator[Node, bool, list[ArrayResidual]]:
        """What is left after one more item, the most promising last."""
        shape, shapes = self._shape, self._shape.shapes
        item = shape.item(here.num_read)
        if here.taken:
            item = shapes.merge.all_of((item, shapes.values.unlike(here.taken)))
        if (yield item):
            return []
        found: list[ArrayResidual] = []
        values = shapes.scalars.few_values(item, _FEW) if shape.distinct else None
        for left, extra in shape.advance(here, explore):
            if left == here:
                continue
            node = shapes.merge.all_of((item, *extra))
            if values is not None:
                for value in values:
                    if not (yield shapes.merge.all_of((node, shapes.values.equal(value)))):
                        found.append(left._replace(taken=left.taken | {value}))
            elif not extra or not (yield node):
                found.append(left)
        return found[::-1]
