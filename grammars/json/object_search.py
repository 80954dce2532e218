"""Whether an object that has been begun can be completed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from grammars.errors import GrammarLimit
from grammars.json.emptiness import Asking
from grammars.json.node import TRUE, CountProperties, Every, Node, Some
from grammars.json.residual import Clause, explore, holds_at_end

if TYPE_CHECKING:
    from grammars.json.objects import ObjectShape, Residual

__all__ = ["ObjectSearch"]


class ObjectSearch:
    """A search over what may be read next. The order of properties is of no account: any set of them can be sorted.

    Args:
        shape: the shape the object has.
    """

    def __init__(self, shape: ObjectShape) -> None:
        self._shape = shape

    def completes(self, residual: Residual) -> Asking:
        """Asks about the values a completion needs; returns whether there is one.

        Raises:
            GrammarLimit: more than `limits.search` places were looked at.
        """
        shape = self._shape
        limit = shape.shapes.limits.search
        seen: set[Residual] = set()
        path: list[Residual] = []
        open_ways: list[Iterator[tuple[Residual, Node]]] = [iter(((residual, TRUE),))]
        while open_ways:
            way = next(open_ways[-1], None)
            if way is None:
                open_ways.pop()
                del path[len(open_ways) - 1 :]
                continue
            here, asked = way
            if here in seen or shape.completable.get(here) is False or (asked is not TRUE and (yield asked)):
                continue
            seen.add(here)
            if len(seen) > limit:
                raise GrammarLimit(f"json_schema: more than {limit} steps to complete one object")
            further = yield from self._enter(here)
            if further is True:
                # That there is a value is never taken back, unlike that there is none.
                shape.completable.update(dict.fromkeys((*path, here), True))
                return True
            if further:
                path.append(here)
                open_ways.append(further)
        return False

    def _enter(self, here: Residual) -> Generator[Node, bool, Iterator[tuple[Residual, Node]] | bool]:
        """Whether an object ends well from here; where that is open, the ways to go on."""
        if self._shape.completable.get(here):
            return True
        if not here.clauses and not here.rivals:
            return (yield from self._completes_plain(here))
        rest = yield from self._with_required(here)
        if rest is None:
            return False
        place, labels = rest
        if not labels and self._shape.closes(place):
            return True
        return self._read(place, labels or self._helpful(place))

    def _completes_plain(self, here: Residual) -> Asking:
        """Whether all required properties can be, and the number of properties be right."""
        shape = self._shape
        required = shape.required & here.available
        needed = required.bit_count()
        if shape.high is not None and max(here.num_read + needed, shape.low) > shape.high:
            return False
        for label in _labels(required):
            if (yield shape.value(label)):
                return False
        missing = shape.low - here.num_read - needed
        if missing <= 0:
            return True
        for label in reversed(list(_labels(here.available & ~required))):
            if not (yield shape.value(label)):
                missing -= 1
                if missing == 0 or label >= shape.table.num_names:
                    return True
        return False

    def _with_required(self, here: Residual) -> Generator[Node, bool, tuple[Residual, list[int]] | None]:
        """Reads the required properties that nothing else depends on; what is left, and the first of the others."""
        shape = self._shape
        required = shape.required & here.available
        for label in _labels(required):
            if (yield shape.value(label)):
                return None
        involved = required
        if not here.rivals:
            involved = 0
            for clause in here.clauses:
                for literal in clause:
                    if isinstance(literal, Every | Some):
                        involved |= required & shape.table.mask(literal.keys)
        if involved:
            return here, [(involved & -involved).bit_length() - 1]
        count = here.num_read + required.bit_count()
        if shape.high is not None and count > shape.high:
            return None
        rest = here._replace(available=here.available & ~required, num_read=min(count, shape.count_cap))
        settled = shape.settled(rest)
        return None if settled is None else (settled, [])

    def _helpful(self, here: Residual) -> list[int]:
        """The labels that bring an object that may not end here nearer to its end."""
        if not here.rivals:
            for clause in here.clauses:
                if not holds_at_end(clause, here.num_read):
                    return list(_labels(self._wanted(clause) & here.available))
        return list(_labels(here.available))

    def _wanted(self, clause: Clause) -> int:
        wanted = 0
        for literal in clause:
            if isinstance(literal, CountProperties):
                return -1
            if isinstance(literal, Some):
                wanted |= self._shape.table.mask(literal.keys)
        return wanted

    def _read(self, here: Residual, labels: list[int]) -> Iterator[tuple[Residual, Node]]:
        """What may be left after one more property, the most promising first, and what its value must satisfy."""
        shape = self._shape
        for label in labels:
            value = shape.value(label)
            for left, extra in shape.advance(here, label, False, explore):
                if left != here:
                    yield left, shape.shapes.merge.all_of((value, *extra)) if extra else value


def _labels(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
