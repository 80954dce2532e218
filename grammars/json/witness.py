"""A few plain values tried on nodes, so that most nodes are seen at a glance to have a value.

What none of the tried values satisfies may still have others: only `Emptiness` tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from grammars.json.node import (
    TRUE,
    TYPES,
    All,
    Any,
    CountItems,
    CountMatching,
    CountProperties,
    Distinct,
    Every,
    EveryItem,
    IsType,
    JsonType,
    MultipleOf,
    Node,
    NumberIn,
    Ref,
    Some,
    SomeItem,
    StringIn,
    StringLength,
    WrittenWhole,
)
from grammars.json.targets import Targets
from grammars.json.unlike import Frozen, FrozenArray, FrozenObject, Unlike, freeze

__all__ = ["Witness"]

_NUMBERS = (Decimal(0), Decimal(1), Decimal(100))
_FINEST = -20
"""Exponent of the smallest step that division by is tried: decimal arithmetic has 28 digits."""
_TRIED: tuple[tuple[JsonType, Frozen], ...] = (
    ("null", None),
    ("true", freeze(True)),
    ("false", freeze(False)),
    ("string", ""),
    ("array", FrozenArray(())),
    ("object", FrozenObject(())),
    *(("number", number) for number in _NUMBERS),
)
_ALL = (1 << len(_TRIED)) - 1
_OF_TYPE = {name: sum(1 << at for at, (kind, _) in enumerate(_TRIED) if kind == name) for name in TYPES}
_NO_STRING, _NO_ARRAY, _NO_OBJECT = (_ALL & ~_OF_TYPE[name] for name in ("string", "array", "object"))
_NO_NUMBER = _ALL & ~_OF_TYPE["number"]
_NUMBER_BITS = tuple(1 << at for at, (kind, _) in enumerate(_TRIED) if kind == "number")
_SAME: dict[type, int] = {Every: _ALL, EveryItem: _ALL, Some: 0, SomeItem: 0}
"""What all nodes of a kind say of the tried values."""
_DEEPEST = 16


class Witness:
    """Finds values of nodes without a search; every answer is memoized by node.

    Tried are null, true, false, a few numbers, and the empty string, array and object; of an object that must have
    some properties, whether each of these has a value that shows at a glance.

    Args:
        targets: what references stand for.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._satisfying: dict[Node, int] = {}
        self._shown: dict[Node, bool] = {}
        self._depth = 0

    def shows(self, node: Node) -> bool:
        """Whether a value of the node is known; when not, there may be one."""
        found = self._shown.get(node)
        if found is None and self._depth < _DEEPEST:
            self._shown[node] = False  # a value may not rest on itself
            self._depth += 1
            found = self._shown[node] = bool(self._tried(node)) or self._has_object(node)
            self._depth -= 1
        return bool(found)

    def _tried(self, node: Node) -> int:
        """Which of the tried values satisfy the node, as a bit mask."""
        found = _SAME.get(type(node))
        if found is None:
            found = self._satisfying.get(node)
        if found is None:
            found = self._satisfying[node] = self._try_all(node)
        return found

    def _try_all(self, node: Node) -> int:  # noqa: C901 - one case for each kind of node
        match node:
            case IsType(types):
                return sum(_OF_TYPE[name] for name in types)
            case All(items):
                bits = _ALL
                for item in items:
                    bits &= self._tried(item)
                return bits
            case Any(items):
                bits = 0
                for item in items:
                    bits |= self._tried(item)
                return bits
            case Unlike():
                return sum(1 << at for at, (_, value) in enumerate(_TRIED) if value not in node.values)
            case Ref():
                return self._tried(self._targets.of(node))
            case StringIn(language):
                return _ALL if language.nullable else _NO_STRING
            case StringLength(low):
                return _NO_STRING if low else _ALL
            case NumberIn() | MultipleOf() | WrittenWhole():
                return _try_numbers(node)
            case CountProperties(low):
                return _NO_OBJECT if low else _ALL
            case CountItems(low):
                return _NO_ARRAY if low else _ALL
            case CountMatching():
                return _NO_ARRAY if node.low else _ALL
            case Distinct(negated):
                return _NO_ARRAY if negated else _ALL
        raise TypeError(f"{node!r} is no node")

    def _has_object(self, node: Node) -> bool:
        """Whether an object with just the properties required is seen to satisfy the node."""
        every: list[Every] = []
        wanted: dict[str, list[Node]] = {}
        for part in self._parts(node):
            if isinstance(part, Every):
                if part.keys.patterns:
                    return False
                every.append(part)
            elif isinstance(part, Some):
                keys = part.keys
                if len(keys.names) != 1 or keys.patterns or keys.negated:
                    return False
                wanted.setdefault(keys.names[0], []).append(part.node)
            elif isinstance(part, IsType):
                if "object" not in part.types:
                    return False
            elif isinstance(part, Any | SomeItem | Unlike | CountProperties):
                return False
        return bool(wanted) and all(self._has_value(name, nodes, every) for name, nodes in wanted.items())

    def _parts(self, node: Node) -> Iterator[Node]:
        """What a node is a conjunction of."""
        pending = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, All):
                pending += part.items
            elif isinstance(part, Ref) and not isinstance(part, Unlike):
                pending.append(self._targets.of(part))
            else:
                yield part

    def _has_value(self, name: str, nodes: Iterable[Node], every: Iterable[Every]) -> bool:
        about = (one.node for one in every if (name in one.keys.names) != one.keys.negated)
        asked = [node for node in dict.fromkeys((*nodes, *about)) if node is not TRUE]
        if len(asked) < 2:
            return not asked or self.shows(asked[0])
        bits = _ALL
        for node in asked:
            bits &= self._tried(node)
        return bool(bits)


def _try_numbers(node: NumberIn | MultipleOf | WrittenWhole) -> int:
    bits = _NO_NUMBER
    for bit, number in zip(_NUMBER_BITS, _NUMBERS, strict=True):
        if _is_satisfied(node, number):
            bits |= bit
    return bits


def _is_satisfied(node: NumberIn | MultipleOf | WrittenWhole, number: Decimal) -> bool:
    if isinstance(node, NumberIn):
        low, high = node.low, node.high
        above = low is None or (low < number if node.low_open else low <= number)
        return above and (high is None or (number < high if node.high_open else number <= high))
    if isinstance(node, MultipleOf):
        if number and node.step.adjusted() < _FINEST:
            return False
        return (number % node.step == 0) != node.negated
    return not node.negated
