"""Whether an object that has been begun can be completed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, NamedTuple

from grammars.errors import GrammarLimit
from grammars.json.emptiness import Asking
from grammars.json.node import TRUE, CountProperties, Node, Some
from grammars.json.residual import Clause, explore, holds_at_end

if TYPE_CHECKING:
    from grammars.json.objects import ObjectShape, Residual

__all__ = ["ObjectSearch", "labels_of"]


class _Way(NamedTuple):
    """A property that may be read: what is left after it, its label, and what its value must satisfy."""

    left: Residual
    label: int
    asked: Node


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
        path: list[tuple[Residual, int]] = []
        open_ways: list[Iterator[_Way]] = [iter((_Way(residual, 0, TRUE),))]
        while open_ways:
            way = next(open_ways[-1], None)
            if way is None:
                open_ways.pop()
                del path[len(open_ways) - 1 :]
                continue
            here = way.left
            if here in seen or shape.completions.get(here, 0) is None or (way.asked is not TRUE and (yield way.asked)):
                continue
            seen.add(here)
            if len(seen) > limit:
                raise GrammarLimit(f"json_schema: more than {limit} steps to complete one object")
            further = yield from self._enter(here)
            if isinstance(further, int):
                self._keep([*path, (here, way.label)], further)
                return True
            if further is not None:
                path.append((here, way.label))
                open_ways.append(further)
        return False

    def _keep(self, path: list[tuple[Residual, int]], labels: int) -> None:
        """Notes how objects can be completed; that there is a value is never taken back, unlike that there is none."""
        required = self._shape.required
        for residual, label in reversed(path):
            labels |= required & residual.available
            self._shape.completions[residual] = labels
            labels |= 1 << label

    def _enter(self, here: Residual) -> Generator[Node, bool, Iterator[_Way] | int | None]:
        """The labels of a completion where one shows, or else the ways to go on; None where there is none."""
        known = self._shape.completions.get(here)
        if known is not None:
            return known
        if not here.clauses and not here.rivals:
            return (yield from self._completes_plain(here))
        rest = yield from self._with_required(here)
        if rest is None:
            return None
        place, labels = rest
        if not labels and self._shape.closes(place):
            return 0
        return self._read(place, labels or self._helpful(place))

    def _completes_plain(self, here: Residual) -> Generator[Node, bool, int | None]:
        """The labels of a completion, if all required properties can be, and the number of properties be right."""
        shape = self._shape
        required = shape.required & here.available
        needed = required.bit_count()
        if shape.high is not None and max(here.num_read + needed, shape.low) > shape.high:
            return None
        for label in labels_of(required):
            if (yield shape.value(label)):
                return None
        labels = required
        missing = shape.low - here.num_read - needed
        for label in reversed(list(labels_of(here.available & ~required))):
            if missing <= 0:
                break
            if not (yield shape.value(label)):
                missing -= 1 if label < shape.table.num_names else missing
                labels |= 1 << label
        return labels if missing <= 0 else None

    def _with_required(self, here: Residual) -> Generator[Node, bool, tuple[Residual, list[int]] | None]:
        """Reads the required properties that nothing else depends on; what is left, and the first of the others."""
        shape = self._shape
        required = shape.required & here.available
        for label in labels_of(required):
            if (yield shape.value(label)):
                return None
        involved = required
        if not here.rivals:
            involved &= shape.clauses.involved(here.clauses).labels
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
                    return list(labels_of(self._wanted(clause) & here.available))
        return list(labels_of(here.available))

    def _wanted(self, clause: Clause) -> int:
        wanted = 0
        for literal in clause:
            if isinstance(literal, CountProperties):
                return -1
            if isinstance(literal, Some):
                wanted |= self._shape.table.mask(literal.keys)
        return wanted

    def _read(self, here: Residual, labels: list[int]) -> Iterator[_Way]:
        """What may be left after one more property, the most promising first, and what its value must satisfy."""
        shape = self._shape
        for label in labels:
            value = shape.value(label)
            for left, extra in shape.advance(here, label, False, explore):
                if left != here:
                    yield _Way(left, label, shape.shapes.merge.all_of((value, *extra)) if extra else value)


def labels_of(mask: int) -> Iterator[int]:
    """The labels of a bit mask, ascending."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
