from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.server.openai.call_reader import CallReader
from runtime.server.openai.tools import HERMES

ONE = HERMES.written("set", '{"on": "}</tool_call>"}')
TWO = HERMES.written("a.b-c", "{}")


def read(pieces: list[str]) -> tuple[str, list[tuple[str, str]]]:
    reader = CallReader(HERMES)
    said = ""
    calls: list[tuple[str, str]] = []
    for text, deltas in [*map(reader.feed, pieces), reader.end()]:
        said += text
        assert len({delta.index for delta in deltas}) == len(deltas)
        for delta in deltas:
            if delta.id is not None:
                assert delta.index == len(calls)
                calls.append((str(delta.name), ""))
            name, arguments = calls[delta.index]
            calls[delta.index] = (name, arguments + delta.arguments)
    assert reader.num_calls == len(calls)
    return said, calls


CASES = [
    ("hello", ("hello", [])),
    (" spaces ", (" spaces ", [])),
    ("a < b <tool", ("a < b <tool", [])),
    ("<tool_call>free", ("<tool_call>free", [])),
    (ONE, ("", [("set", '{"on": "}</tool_call>"}')])),
    ("so: " + ONE + "\n" + TWO, ("so: ", [("set", '{"on": "}</tool_call>"}'), ("a.b-c", "{}")])),
    (TWO + "\n\nthat is all", ("\n\nthat is all", [("a.b-c", "{}")])),
    (ONE[:-4], ("", [("set", '{"on": "}</tool_call>"}}\n</tool_c')])),
    (HERMES.begin("set") + '{"on', ("", [("set", '{"on')])),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_text_and_calls(text: str, expected: tuple[str, list[tuple[str, str]]]) -> None:
    assert read([text]) == expected


@given(st.sampled_from([text for text, _ in CASES]), st.lists(st.integers(1, 7), max_size=80))
def test_it_does_not_matter_where_the_pieces_end(text: str, sizes: list[int]) -> None:
    pieces, place = [], 0
    for size in sizes:
        pieces.append(text[place : place + size])
        place += size
    assert read([*pieces, text[place:]]) == read([text])
