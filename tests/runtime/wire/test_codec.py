from __future__ import annotations

import json
import math
from typing import Any, Literal

import pytest

from runtime.sendable import Sendable
from runtime.wire.codec import Reader, encode, plain
from runtime.wire.errors import ProtocolError


class Inner(Sendable, frozen=True):
    number: float = 0.0


class Other(Sendable, frozen=True):
    text: str


class Outer(Sendable, frozen=True):
    ids: tuple[int, ...]
    pairs: tuple[tuple[float, int], ...] = ()
    inner: Inner | Other | str | None = None
    kind: Literal["a", "b"] = "a"
    table: dict[int, float] = {}  # noqa: RUF012 — msgspec makes every value a new one
    flag: bool = False
    end: str | int | None = None
    anything: Any = None


OUTER: Reader[Outer] = Reader(Outer)
INNER: Reader[Inner] = Reader(Inner)

WHOLE = Outer(
    (1, 2), ((-math.inf, 3), (0.1 + 0.2, 4)), Other("é\n"), "b", {7: 1.0, 8: math.inf}, True, "1", {"free": [1, None]}
)  # fmt: skip


@pytest.mark.parametrize("value", [WHOLE, Outer(()), Outer((3,), inner=Inner(2.5)), Outer((3,), inner="inf")])
def test_what_is_written_is_read_back(value: Outer) -> None:
    assert OUTER.decode(encode(value), "value") == value
    assert OUTER.decode(encode(value).decode(), "value") == value
    assert OUTER.convert(json.loads(json.dumps(plain(value), allow_nan=False)), "value") == value


def test_a_number_that_is_none_is_read_back() -> None:
    assert math.isnan(INNER.decode(encode(Inner(math.nan)), "value").number)


def test_numbers_beyond_json_are_words() -> None:
    assert json.loads(encode([Inner(math.inf), None, "null"])) == [{"type": "Inner", "number": "inf"}, None, "null"]


def test_a_word_is_a_number_only_where_one_belongs() -> None:
    value = Outer((1,), ((math.inf, 1),), "-inf", end="nan", anything=["inf"])
    assert OUTER.decode(encode(value), "value") == value


def test_integers_have_any_size() -> None:
    assert OUTER.decode(encode(Outer((2**70,), anything=-(2**80))), "value") == Outer((2**70,), anything=-(2**80))


def test_defaults_are_left_out() -> None:
    assert plain(Outer((1,))) == {"type": "Outer", "ids": [1]}
    assert json.loads(encode(Outer((1,)))) == plain(Outer((1,)))


def test_whole_numbers_are_floats_where_floats_belong() -> None:
    found = INNER.decode('{"number":1}', "value").number
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "value: Object missing required field `ids`"),
        ([], "value: Expected `object`, got `array`"),
        ({"ids": 3}, r"value\.ids: Expected `array`, got `int`"),
        ({"ids": [True]}, r"value\.ids\[0\]: .* got `bool`"),
        ({"ids": [1.0]}, r"value\.ids\[0\]: .* got `float`"),
        ({"ids": [], "more": 1}, "unknown field `more`"),
        ({"ids": [], "type": "Inner"}, r"value\.type: Invalid value 'Inner'"),
        ({"ids": [], "pairs": [[1.0]]}, r"value\.pairs\[0\]: .* length 2"),
        ({"ids": [], "pairs": [["x", 1]]}, r"value\.pairs\[0\]\[0\]: .* got `str`"),
        ({"ids": [], "pairs": [["inf", "x"]]}, r"value\.pairs\[0\]\[1\]: "),
        ({"ids": [], "inner": {"type": "Strange"}}, r"value\.inner\.type: Invalid value 'Strange'"),
        ({"ids": [], "inner": {"type": []}}, r"value\.inner\.type: "),
        ({"ids": [], "inner": 3}, r"value\.inner: .* got `int`"),
        ({"ids": [], "kind": "c"}, r"value\.kind: "),
        ({"ids": [], "table": {"x": 1.0}}, r"at `key` in `\$.table`"),
        ({"ids": [], "flag": 1}, r"value\.flag: Expected `bool`, got `int`"),
        ({"ids": [], "pairs": [[10**400, 1]]}, r"value\.pairs\[0\]\[0\]: Number out of range"),
    ],
)
def test_what_has_another_shape_is_named(data: Any, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        OUTER.decode(json.dumps(data), "value")
    with pytest.raises(ProtocolError):
        OUTER.convert(data, "value")


@pytest.mark.parametrize("data", ["", "{", "[" * 100_000, '{"ids":[],"inner":"\\ud800"}', b"\xff"])
def test_what_is_no_json_is_refused(data: str | bytes) -> None:
    with pytest.raises(ProtocolError, match="value: "):
        OUTER.decode(data, "value")


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_what_cannot_be_written_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        encode(Outer((), anything=value))
