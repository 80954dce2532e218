from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.server.openai.call_formats import HERMES, LLAMA_3, MISTRAL, MISTRAL_ARGS, CallFormat
from runtime.server.openai.call_reader import CallReader

NAMES = ("set", "a.b-c", "a")
ONE = HERMES.written(("set", '{"on": "}</tool_call>"}'))
TWO = HERMES.written(("a.b-c", "{}"))


def read(pieces: Sequence[str], form: CallFormat = HERMES) -> tuple[str, list[tuple[str, str]]]:
    reader = CallReader(form, NAMES)
    said = ""
    calls: list[tuple[str, str]] = []
    ids = set()
    for text, deltas in [*map(reader.feed, pieces), reader.end()]:
        said += text
        assert len({delta.index for delta in deltas}) == len(deltas)
        for delta in deltas:
            if delta.id is not None:
                assert delta.index == len(calls)
                ids.add(delta.id)
                calls.append((str(delta.name), ""))
            name, arguments = calls[delta.index]
            calls[delta.index] = (name, arguments + delta.arguments)
    assert reader.num_calls == len(calls) == len(ids)
    return said, calls


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces, place = [], 0
    for size in sizes:
        pieces.append(text[place : place + size])
        place += size
    return [*pieces, text[place:]]


CASES = [
    ("hello", ("hello", [])),
    (" spaces ", (" spaces ", [])),
    ("a < b <tool", ("a < b <tool", [])),
    ("<tool_call>free", ("<tool_call>free", [])),
    (HERMES.written(("go", "{}")), (HERMES.written(("go", "{}")), [])),
    (ONE, ("", [("set", '{"on": "}</tool_call>"}')])),
    ("so: " + ONE + "\n" + TWO, ("so: ", [("set", '{"on": "}</tool_call>"}'), ("a.b-c", "{}")])),
    (TWO + "\n\nthat is all", ("\n\nthat is all", [("a.b-c", "{}")])),
    (ONE + "\n", ("", [("set", '{"on": "}</tool_call>"}')])),
    (ONE[:-4], ("", [("set", '{"on": "}</tool_call>"}')])),
    (HERMES.begin("set") + '{"on', ("", [("set", '{"on')])),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_text_and_calls(text: str, expected: tuple[str, list[tuple[str, str]]]) -> None:
    assert read([text]) == expected


@given(st.sampled_from([text for text, _ in CASES]), st.lists(st.integers(1, 7), max_size=80))
def test_it_does_not_matter_where_the_pieces_end(text: str, sizes: list[int]) -> None:
    assert read(cut(text, sizes)) == read([text])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\{}[]<>/ ;,:\n'), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from([HERMES, MISTRAL, MISTRAL_ARGS, LLAMA_3]),
    st.sampled_from(["", "Well: {", "a [TOOL"]),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3),
    st.lists(st.integers(1, 9), max_size=60),
)
def test_what_a_format_writes_is_read_back(
    form: CallFormat, said: str, calls: list[tuple[str, object]], sizes: list[int]
) -> None:
    given_calls = [(name, json.dumps(value, ensure_ascii=False)) for name, value in calls]
    text = said + (form.written(*given_calls) if given_calls else "")
    assert read(cut(text, sizes), form) == (said, given_calls)


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (LLAMA_3, '{"name": "Rome", "parameters": {}}', ('{"name": "Rome", "parameters": {}}', [])),
        (LLAMA_3, '{"type": "function", "name": "a", "parameters": {}}', ("", [("a", "{}")])),
        (LLAMA_3, '{"name": "a", "parameters": {}}; ', ("", [("a", "{}")])),
        (MISTRAL, '[TOOL_CALLS] [{"name": "a", "arguments": {"b', ("", [("a", '{"b')])),
        (MISTRAL, '[TOOL_CALLS] [{"name": "a", "arguments": {}}, {"name"', ("", [("a", "{}")])),
        (MISTRAL_ARGS, "[TOOL_CALLS]a[ARGS]", ("", [("a", "")])),
        (MISTRAL_ARGS, "[TOOL_CALLS]a[ARG", ("[TOOL_CALLS]a[ARG", [])),
    ],
)
def test_what_each_family_does_of_its_own(
    form: CallFormat, text: str, expected: tuple[str, list[tuple[str, str]]]
) -> None:
    assert read([text], form) == expected
    assert read(list(text), form) == expected
