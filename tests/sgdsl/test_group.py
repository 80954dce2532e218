"""Forks, copies and joins."""

from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from sgdsl.loop import Loop


def prompts(mock: sg.Mock) -> list[str]:
    return [call.prompt for call in mock.calls]


def test_fork_before_any_text(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        forks = s.fork(2)
        forks += lambda i: f"{i}:" + sg.gen("x")
        forks.join()
        return s["x"]

    assert program.run(backend=mock).ret_value == ["mock", "mock"]
    assert sorted(prompts(mock)) == ["0:", "1:"]


def test_forks_share_what_stands_and_go_on_alone() -> None:
    mock = sg.Mock({"a": "A", "x": ["1", "2", "3"], "y": "Y"})

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "start " + sg.gen("a")
        forks = s.fork(3)
        forks += [" p ", " q ", " r "]
        forks += sg.gen("x")
        s += " main " + sg.gen("y")
        forks.join()
        return s["x"], [f.text() for f in forks], forks[1]["a"], len(forks)

    values, texts, inherited, count = program.run(backend=mock).ret_value
    assert values == ["1", "2", "3"]
    assert texts == ["start A p 1", "start A q 2", "start A r 3"]
    assert (inherited, count) == ("A", 3)
    assert sorted(prompts(mock)) == ["start ", "start A main ", "start A p ", "start A q ", "start A r "]


def test_a_fork_computes_the_common_prefix_once(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "one two three four"
        with s.fork(4) as forks:
            forks += " five" + sg.gen("x")
        return s.get_meta_info("x")

    metas = program.run(backend=mock).ret_value
    assert [(meta["prompt_tokens"], meta["cached_tokens"]) for meta in metas] == [(5, 4)] * 4


def test_joining_twice_rebinds_and_hands_back_only_what_is_new() -> None:
    mock = sg.Mock({"x": ["1", "2", "3", "4"], "y": ["5", "6"]})

    @sg.function
    def program(s: sg.ProgramState) -> Any:
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join()
        first = s["x"]
        s.set_var("x", "mine")
        forks += sg.gen("y")
        forks.join()
        second = (s["x"], s["y"])
        forks += sg.gen("x")
        forks.join()
        return first, second, s["x"]

    assert program.run(backend=mock).ret_value == (["1", "2"], ("mine", ["5", "6"]), ["3", "4"])


def test_a_copy_hands_back_single_values() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "a "
        with s.copy() as c:
            c += "b " + sg.gen("x")
        s += "c " + sg.gen("y")
        return s["x"], s.get_meta_info("x")["finish_reason"], s.text()

    assert program.run(backend=sg.Mock({"x": "X", "y": "Y"})).ret_value == ("X", "stop", "a c Y")


def test_nested_forks() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "r"
        outer = s.fork(2)
        for i, one in enumerate(outer):
            one += str(i)
            inner = one.fork(2)
            inner += lambda j: f".{j} " + sg.gen("x")
            inner.join()
        outer.join()
        return s["x"]

    script = {"r0.0 ": "a", "r0.1 ": "b", "r1.0 ": "c", "r1.1 ": "d"}
    mock = sg.Mock(lambda prompt, params: script[prompt])
    assert program.run(backend=mock).ret_value == [["a", "b"], ["c", "d"]]


def test_join_modes(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join("none")
        with pytest.raises(ValueError, match="mode='all'"):
            forks.join("all")
        return "x" in s

    assert program.run(backend=mock).ret_value is False


def test_group_arguments(mock: sg.Mock) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        for bad in (0, -1, True, 1.5):
            with pytest.raises(ValueError, match="n="):
                s.fork(bad)  # type: ignore[arg-type]
        forks = s.fork(2)
        with pytest.raises(ValueError, match="3 expressions for 2 forks"):
            forks += ["a", "b", "c"]
        for bad in (5, None, {"a": 1, "b": 2}, ["a", 3], lambda i: i or "a"):
            with pytest.raises(TypeError, match="expression"):
                forks += bad
        forks += (text for text in ("", ""))
        forks[0] += "x"
        assert forks[0].text() == "x"
        assert forks[1].text() == ""

    program.run(backend=mock)


def test_a_join_hands_over_what_was_recorded(gate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loop, "watch", lambda *_: None)  # which would do so a millisecond later

    @sg.function
    def program(s: sg.ProgramState, mode: str) -> bool:
        gate.reached.clear()
        forks = s.fork(2)
        forks += sg.gen("x")
        forks.join(mode)
        began = bool(gate.reached.wait(5))
        gate.opened.set()
        return began

    for mode in ("gather_variable", "concat_and_append", "none"):
        assert program.run(mode, backend=sg.Mock(gate)).ret_value
