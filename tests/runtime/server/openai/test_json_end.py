from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.server.openai.json_end import JsonEnd

TEXT = st.text(st.sampled_from('ab"\\{}[],: é'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from(["}", "}\n</tool_call>", "]", ", {", "; ", "[TOOL_CALLS]", " "]), st.integers(1, 9))
def test_the_end_is_found_wherever_pieces_end(value: object, behind: str, size: int) -> None:
    text = json.dumps(value)
    whole, end, read = text + behind, JsonEnd(), 0
    for start in range(0, len(whole), size):
        found = end.find(whole[start : start + size])
        if found is not None:
            read = start + found
            break
    assert whole[:read] == text


@pytest.mark.parametrize("text", ["", '{"a": "', "[1, 2", '"a\\"', "tru"])
def test_what_has_no_end_yet_goes_on(text: str) -> None:
    assert JsonEnd().find(text) is None


@pytest.mark.parametrize("text", ["}", "]]", "x}", ":"])
def test_what_is_no_json_fails_at_nothing(text: str) -> None:
    JsonEnd().find(text)
