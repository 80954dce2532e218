from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import sgdsl as sg
from sgdsl.record.history import History
from sgdsl.record.page import page

HOSTILE = '</script><script>alert(1)</script><!-- <b onload="x">&amp; \x00\x1b[31m \u202e\u2028 שלום 👩‍👩‍👧 é'


class Reader(HTMLParser):
    """Collects what elements a page has, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.is_data = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.scripts and self.tags[-1] == "script":
            self.scripts[-1] += data


def data(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Reader(text).scripts[0])
    return found


def spelled(found: dict[str, Any], tokens: list[Any]) -> str:
    return "".join(found["tokens"][place][1] for place in tokens[0])


def test_the_page_needs_nothing_else(history: History) -> None:
    text = page(history)
    read = Reader(text)
    assert not {"iframe", "object", "embed", "img", "base"} & set(read.tags)
    assert [value for name, value in read.attributes if name in ("src", "action", "srcset")] == []
    assert [value for name, value in read.attributes if name == "href"] == ["data:,"]
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|WebSocket|innerHTML|eval\(", text)
    assert "default-src 'none'" in text


def test_the_embedded_data_is_what_happened(history: History) -> None:
    found = data(page(history))
    run = found["runs"][0]
    assert [one["program"] for one in found["runs"]] == ["everything", "grade"]
    assert run["status"] == "completed"
    assert [(one["index"], one["parent"]) for one in run["streams"]] == [(0, None), (1, 0), (2, 0)]
    reason = next(one for one in run["streams"][0]["instructions"] if one.get("n") == "reason")
    assert reason["x"] == spelled(found, reason["samples"][0]["p"]) == "he paid twice"
    assert reason["samples"][0]["p"][1:] == ["ggg", [0.0, 0.0, 0.0]]
    assert reason["u"] == [6, 0]
    assert found["summary"]["gens"] == 6


def test_hostile_texts_stay_text(record_of: Any) -> None:
    @sg.function
    def hostile(s: sg.ProgramState, text: str) -> str:
        s += text + sg.gen("out") + sg.select("pick", [text, "other"])
        return text

    recorder = record_of(hostile, HOSTILE, script={"out": HOSTILE, "pick": HOSTILE})
    plain, text = (page(History(entries)) for entries in (recorder.entries[:1], recorder.entries))
    assert Reader(text).tags == Reader(plain).tags
    found = data(text)
    steps = found["runs"][0]["streams"][0]["instructions"]
    assert (steps[0]["t"], steps[1]["x"], steps[2]["choices"][0]) == (HOSTILE, HOSTILE, HOSTILE)
    assert spelled(found, steps[1]["p"]) == HOSTILE


def test_numbers_json_has_not(record_of: Any) -> None:
    @sg.function
    def choose(s: sg.ProgramState) -> None:
        s += sg.select("x", ["a", "b"])

    recorder = record_of(choose, script=[[[0.0], [float("-inf")]]])
    step = data(page(History(recorder.entries)))["runs"][0]["streams"][0]["instructions"][0]
    assert step["scores"] == [0.0, "-inf"]


def test_ten_thousand_instructions_in_five_hundred_streams_stay_small(record_of: Any) -> None:
    @sg.function
    def wide(s: sg.ProgramState) -> None:
        forks = s.fork(500)
        for _ in range(10):
            forks += " item:" + sg.gen("x")
        forks.join()

    words = " ".join(f"word{number}" for number in range(20))
    text = page(History(record_of(wide, script=lambda *_: words).entries))
    assert len(data(text)["runs"][0]["streams"]) == 501
    assert len(text) < 4_000_000


def test_a_record_of_nothing_is_a_page_too() -> None:
    assert data(page(History(sg.Recorder().entries)))["runs"] == []
