from __future__ import annotations

import io
import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sgdsl.cli.printer import EventPrinter, TextPrinter, Transcript, wants_colour
from sgdsl.events import Constant, Event, Generated, GeneratedEnd, RoleClosed, RoleOpened, RolledBack

CHAT: list[Event] = [
    RoleOpened("user", "<user>"), Constant("Why?"), RoleClosed("user", "</user>"),
    RoleOpened("assistant", "<assistant>"), Generated("Be", "a"), Generated("cause\n", "a"), GeneratedEnd("a"),
    RoleClosed("assistant", "</assistant>"),
]  # fmt: skip


def shown(events: list[Event], *, colour: bool = False, value: object = None) -> str:
    out = io.StringIO()
    printer = TextPrinter(out, colour=colour)
    for event in events:
        printer.show(event)
    printer.end(value)
    printer.close()
    return out.getvalue()


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


def test_roles_are_headings_and_markup_is_left_out() -> None:
    assert shown(CHAT) == "[user]\nWhy?\n\n[assistant]\nBecause\n"


def test_colours_change_nothing_but_the_colour() -> None:
    coloured = shown(CHAT, colour=True, value="x")
    assert uncoloured(coloured) == shown(CHAT, value="x")
    assert "\x1b[32mBe\x1b[0m" in coloured
    assert "\x1b[32mWhy?" not in coloured


def test_a_short_value_is_a_line_and_a_long_one_is_indented() -> None:
    assert shown([Constant("a")], value={"b": 1}) == 'a\n\n=> {"b": 1}\n'
    assert shown([], value=["long" * 9] * 9).startswith('=> [\n  "long')
    assert shown([Constant("a")]) == "a\n"
    assert shown([]) == ""


def test_a_rollback_is_marked_and_the_text_that_is_left_follows() -> None:
    events = [Constant("keep "), Constant("lose"), RolledBack("keep "), Constant("this")]
    assert shown(events) == "keep lose\n[rolled back]\nkeep this\n"
    transcript = Transcript()
    for event in events:
        transcript.show(event)
    assert transcript.text == "keep this"


def test_generated_text_cannot_steer_the_terminal() -> None:
    assert "\x1b]0;" not in shown([Generated("\x1b]0;title\x07", "a")], colour=True)
    assert shown([Generated("\x1b]", "a")], colour=False) == "\x1b]\n"


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "Zs"), include_characters="\n"), min_size=1)))
def test_without_roles_the_text_is_exactly_what_was_said(pieces: list[str]) -> None:
    text = "".join(pieces)
    expected = text if text.endswith("\n") or not text else text + "\n"
    assert shown([Constant(piece) for piece in pieces]) == expected
    assert uncoloured(shown([Generated(piece, None) for piece in pieces], colour=True)) == expected


def test_every_event_is_one_json_line() -> None:
    out = io.StringIO()
    printer = EventPrinter(out)
    for event in [*CHAT, RolledBack("x")]:
        printer.show(event)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines].count("generated") == 2
    assert lines[0] == {"event": "role_begin", "role": "user", "text": "<user>"}
    assert lines[-1] == {"event": "rolled_back", "text": "x"}


def test_colour_needs_a_terminal_and_no_objection(monkeypatch: Any) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())
