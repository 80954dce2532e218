from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.json.capture import last_name, last_value

texts = st.text(st.sampled_from('a"\\[]{},: \né\u2028😀/'), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
spaces = st.text(st.sampled_from(" \n\r\t"), max_size=3)
before = st.sampled_from(['{"k": [', '[["]", ', '[1, {"a\\"": ', '["\\\\", ', '{"a": {"b": 1}, "c": '])


@given(start=before, value=values, space=spaces, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_the_last_value_is_found_again(
    start: str, value: object, space: str, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    found = last_value((start + space + text + space).encode())
    assert found == json.loads(text, parse_float=Decimal)
    assert not isinstance(found, float)


@given(name=texts, value=values, space=spaces, ascii_only=st.booleans(), first=st.booleans())
def test_the_last_name_is_found_again(name: str, value: object, space: str, ascii_only: bool, first: bool) -> None:
    start = '[{"x": "{' if first else '{"a\\\\": 1, "b": {}, '
    start = start.replace('"{', '"", ')
    text = start + space + json.dumps(name, ensure_ascii=ascii_only) + space + ":" + space + json.dumps(value) + space
    assert last_name(text.encode()) == name


@pytest.mark.parametrize("text", [b"", b"   ", b"}", b"1]", b", ", b"[1, "])
def test_a_text_that_ends_with_no_value_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        last_value(text)


@pytest.mark.parametrize("text", [b"1", b"[1", b'{1: "a"', b""])
def test_a_text_that_ends_with_no_property_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        last_name(text)
