from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from runtime.wire.codec import read, write
from runtime.wire.errors import ProtocolError


@dataclass(frozen=True)
class Inner:
    number: float = 0.0


@dataclass(frozen=True)
class Other:
    text: str


@dataclass(frozen=True)
class Outer:
    ids: tuple[int, ...]
    pairs: tuple[tuple[float, int], ...] = ()
    inner: Inner | Other | str | None = None
    kind: Literal["a", "b"] = "a"
    table: dict[int, float] = field(default_factory=dict)
    flag: bool = False
    end: str | int | None = None
    anything: Any = None


WHOLE = Outer(
    (1, 2), ((-math.inf, 3), (0.1 + 0.2, 4)), Other("é\n"), "b", {7: 1.0, 8: math.inf}, True, 3, {"free": [1, None]}
)  # fmt: skip


def there_and_back(value: Any) -> Any:
    return read(type(value), json.loads(json.dumps(write(value), allow_nan=False)), "value")


@pytest.mark.parametrize("value", [WHOLE, Outer(()), Outer((3,), inner=Inner(2.5)), Outer((3,), inner="plain")])
def test_what_is_written_is_read_back(value: Outer) -> None:
    assert there_and_back(value) == value


def test_a_number_that_is_none_is_read_back() -> None:
    assert math.isnan(there_and_back(Inner(math.nan)).number)


def test_defaults_are_left_out() -> None:
    assert write(Outer((1,))) == {"type": "Outer", "ids": [1]}


def test_whole_numbers_are_floats_where_floats_belong() -> None:
    found = read(Inner, {"number": 1}, "value").number
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "value: Outer lacks field 'ids'"),
        ([], "value: \\[\\] is not an object"),
        ({"ids": 3}, "value.ids: 3 is not a list"),
        ({"ids": [True]}, r"value.ids\[0\]: True is not int"),
        ({"ids": [1.0]}, r"value.ids\[0\]: 1.0 is not int"),
        ({"ids": [], "more": 1}, "value: Outer has no field 'more'"),
        ({"ids": [], "type": "Inner"}, "type 'Inner' is not Outer"),
        ({"ids": [], "pairs": [[1.0]]}, r"value.pairs\[0\]: 1 values where 2 belong"),
        ({"ids": [], "pairs": [["x", 1]]}, r"value.pairs\[0\]\[0\]: 'x' is not float"),
        ({"ids": [], "inner": {"type": "Strange"}}, "value.inner: type 'Strange' is not one of Inner, Other"),
        ({"ids": [], "inner": {"type": []}}, "value.inner: type"),
        ({"ids": [], "inner": 3}, "value.inner: 3 is not Inner or Other or str"),
        ({"ids": [], "kind": "c"}, "value.kind: 'c' is not"),
        ({"ids": [], "kind": {}}, "value.kind"),
        ({"ids": [], "table": {"x": 1.0}}, "value.table: its keys are not integers"),
        ({"ids": [], "table": []}, "value.table: .* is not an object"),
        ({"ids": [], "flag": 1}, "value.flag: 1 is not bool"),
        ({"ids": [], "end": [1]}, r"value.end: \[1\] is not"),
        ({"ids": [], "pairs": [[10**400, 1]]}, r"value.pairs\[0\]\[0\]: 1000.*\.\.\. is beyond any float"),
        ({"ids": [], "type": "x" * 500}, r"x\.\.\. is not Outer"),
        ({"ids": ["x" * 500]}, r"x\.\.\. is not int"),
    ],
)
def test_what_has_another_shape_is_named(data: Any, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        read(Outer, data, "value")


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        write(Outer((), anything=object()))
