"""Values as constraints: `const` and `enum`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal

from grammars.errors import GrammarLimit, InvalidSpec
from grammars.json.node import FALSE, TYPES, CountItems, JsonType, KeySet, Node, NumberIn, StringIn
from grammars.json.reader.logic import Logic

__all__ = ["canonical", "one_of_values", "read_values"]

MAX_DEPTH = 128


def canonical(value: object, depth: int = 0) -> Hashable:
    """A key that two JSON values share only if JSON Schema calls them equal: 1 equals 1.0, and true does not.

    Raises:
        GrammarLimit: the value is nested too deep.
        InvalidSpec: it is no JSON value, or not a finite number.
    """
    if depth > MAX_DEPTH:
        raise GrammarLimit(f"json_schema: a constant nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool | str):
        return (type(value), value)
    if isinstance(value, int | float | Decimal):
        return _exact(value)
    if isinstance(value, list):
        return (list, tuple(canonical(item, depth + 1) for item in value))
    if isinstance(value, dict):
        return (dict, frozenset((name, canonical(item, depth + 1)) for name, item in value.items()))
    raise InvalidSpec(f"json_schema: {value!r} is no JSON value")


def _exact(value: float | Decimal) -> Decimal:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise InvalidSpec(f"json_schema: {value!r} is no JSON number")
    return number


def read_values(values: Iterable[object]) -> dict[Hashable, object]:
    """Values by their canonical keys, each kept once."""
    read: dict[Hashable, object] = {}
    for value in values:
        read.setdefault(canonical(value), value)
    return read


def one_of_values(values: Iterable[object], logic: Logic, negated: bool) -> Node:
    """The value is one of these, or is none of them; no two of them may be equal."""
    kinds: set[JsonType] = set()
    texts: list[str] = []
    numbers: list[Decimal] = []
    composite: list[object] = []
    for value in values:
        if value is None or isinstance(value, bool):
            kinds.add("null" if value is None else "true" if value else "false")
        elif isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list | dict):
            composite.append(value)
        else:
            numbers.append(_exact(value))  # type: ignore[arg-type]
    logic.spend(len(texts) + len(numbers))
    parts = [logic.is_type(set(TYPES) - kinds if negated else kinds)]
    parts += _texts(texts, logic, negated)
    parts += _numbers(numbers, logic, negated)
    parts += (_composite(value, logic, negated) for value in composite)
    return logic.meet(parts, negated)


def _texts(texts: list[str], logic: Logic, negated: bool) -> Iterator[Node]:
    if not texts:
        return
    language = logic.languages.literals(texts)
    logic.texts[language] = frozenset(texts)
    if negated:
        yield logic.nodes.make(StringIn, logic.languages.complement(language))
    else:
        yield logic.all_of((logic.is_type(("string",)), logic.nodes.make(StringIn, language)))


def _numbers(numbers: list[Decimal], logic: Logic, negated: bool) -> Iterator[Node]:
    make = logic.nodes.make
    if negated:
        for number in numbers:
            yield logic.any_of((make(NumberIn, None, number, False, True), make(NumberIn, number, None, True, False)))
    elif numbers:
        equal = logic.any_of(make(NumberIn, number, number, False, False) for number in numbers)
        yield logic.all_of((logic.is_type(("number",)), equal))


def _composite(value: object, logic: Logic, negated: bool) -> Node:
    """A list item by item, an object property by property, with nothing beside them."""
    kind: JsonType = "object" if isinstance(value, dict) else "array"
    parts = [logic.is_not_type(kind) if negated else logic.is_type((kind,))]
    if isinstance(value, dict):
        for name, item in value.items():
            keys = KeySet((name,))
            parts.append(logic.has(name, negated))
            parts.append(logic.every(keys, one_of_values((item,), logic, negated), negated))
        others = KeySet(tuple(value), negated=True)
        parts.append(logic.every(others, logic.all_of(()) if negated else FALSE, negated))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            parts.append(logic.every_item(index, index, one_of_values((item,), logic, negated), negated))
        parts += _exactly(len(value), logic, negated)
    return logic.join(parts, negated)


def _exactly(num_items: int, logic: Logic, negated: bool) -> Iterator[Node]:
    make = logic.nodes.make
    if not negated:
        yield make(CountItems, num_items, num_items)
        return
    if num_items:
        yield make(CountItems, 0, num_items - 1)
    yield make(CountItems, num_items + 1, None)
