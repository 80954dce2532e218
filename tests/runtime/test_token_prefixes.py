from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.token_prefixes import TokenPrefixes

BYTES = st.lists(st.sampled_from([0, 97, 98, 254, 255]), max_size=4).map(bytes)


@given(st.lists(st.none() | BYTES, max_size=30), BYTES.filter(bool))
def test_against_a_look_at_every_token(table, text):
    prefixes = TokenPrefixes(table)
    longer = {(data[len(text) :], i) for i, data in enumerate(table) if data and data.startswith(text) and data != text}
    found = prefixes.extending(text)
    assert set(found) == longer
    assert [rest for rest, _ in found] == sorted(rest for rest, _ in longer)
    assert prefixes.can_go_on(text) == bool(longer)
    assert sorted(prefixes.within(text)) == [i for i, data in enumerate(table) if data and text.startswith(data)]
    assert prefixes.find(text) == next((i for i, data in enumerate(table) if data == text), None)
