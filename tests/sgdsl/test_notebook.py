from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

import sgdsl as sg


class Spans(HTMLParser):
    """The text of every span that has a title, with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self._title: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._title = dict(attrs).get("title") if tag == "span" else None

    def handle_endtag(self, tag: str) -> None:
        self._title = None

    def handle_data(self, data: str) -> None:
        if self._title is not None:
            self.found.append((data, self._title))


def test_spans_have_origin_variable_and_probability() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "one two" + sg.gen("a", return_logprob=True) + " three" + sg.select("b", [" x", " y"]) + " end"

    state = program.run(backend=sg.Mock({"a": " yes sir", "b": " y"}))
    assert Spans(state._repr_html_()).found == [
        ("one two", "prompt"), (" yes sir", "a: 100.0% (generated)"), (" three", "prompt"), (" y", "b (generated)"),
        (" end", "prompt"),
    ]  # fmt: skip
    assert "2 generated" not in state._repr_html_()
    assert "still running" not in state._repr_html_()


def test_a_forks_beginning_is_cached() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> str:
        s += "one two"
        fork = s.fork(1)[0]
        fork += " three" + sg.gen("a")
        fork.sync()
        return fork._repr_html_()

    spans = Spans(program.run(backend=sg.Mock()).ret_value).found
    assert spans == [("one two", "cached"), (" three", "prompt"), ("mock", "a (generated)")]


def test_a_running_state_shows_what_is_there(gate: Any) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "before " + sg.gen("a") + " behind"
        s.sync()

    state = program.run(backend=sg.Mock(gate), stream=True)
    assert gate.reached.wait(10)
    shown = state._repr_html_()
    assert [text for text, _ in Spans(shown).found] == ["before ", " behind"]
    assert "still running" in shown
    gate.opened.set()
    state.sync()
    assert ("late", "a (generated)") in Spans(state._repr_html_()).found


def test_a_failed_state_shows_its_error() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "before " + sg.gen("a")
        s.sync()

    state = program.run(backend=sg.Mock([RuntimeError("<no>")]), stream=True)
    with pytest.raises(sg.ProgramError):
        state.sync()
    shown = state._repr_html_()
    assert "before " in shown
    assert "&lt;no&gt;" in shown


def test_texts_stay_text_and_the_whole_stays_small() -> None:
    @sg.function
    def program(s: sg.ProgramState, text: str) -> None:
        s += text + sg.gen("a")

    state = program.run("</div><script>x</script>\x1b\u202e", backend=sg.Mock(["<img src=x>"]))
    shown = state._repr_html_()
    assert Spans(shown).tags == {"div", "span"}
    assert Spans(shown).found[0][0] == "</div><script>x</script>␛⟨202e⟩"
    long = program.run("word " * 100_000, backend=sg.Mock())._repr_html_()
    assert len(long) < 30_000
    assert "more characters" in long


def test_it_never_raises(monkeypatch: pytest.MonkeyPatch, mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += "a" + sg.gen("x")

    state = program.run(backend=mock)
    monkeypatch.setattr(mock, "token_text", lambda token: 1 / 0)
    assert ("mock", "x (generated)") in Spans(state._repr_html_()).found
    monkeypatch.setattr(type(state._stream.run), "usage", lambda self: 1 / 0)
    assert state._repr_html_() == "<pre>a state that cannot be shown: ZeroDivisionError</pre>"
