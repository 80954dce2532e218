from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import sgdsl as sg
from sgdsl.errors import TraceError
from sgdsl.ir import Arg, Const, Entries, Items, Joined, VarRef
from sgdsl.symbols import has_symbols, symbol, template

USES: dict[str, Callable[[Any], Any]] = {
    "branch": lambda x: 1 if x else 2,
    "not": lambda x: not x,
    "and": lambda x: x and "more",
    "f-string": lambda x: f"{x}",
    "f-string with !r": lambda x: f"{x!r}",
    "f-string with a width": lambda x: f"{x:>10}",
    "str": str,
    "repr": repr,
    "a list as text": lambda x: str([x, "b"]),
    "a dict as text": lambda x: f"{ {'a': x} }",
    "print": lambda x: print(x),
    "percent": lambda x: "%s" % x,  # noqa: UP031
    "percent of it": lambda x: x % "a",
    "format": lambda x: "{}".format(x),  # noqa: UP032
    "length": len,
    "loop": lambda x: [one for one in x],  # noqa: C416
    "unpacking": lambda x: [*x],
    "reversed": lambda x: list(reversed(x)),
    "dict look-up": lambda x: {"a": 1}[x],
    "dict get": lambda x: {"a": 1}.get(x),
    "set": lambda x: x in {"a", "b"},
    "key": lambda x: {x: 1},
    "index": lambda x: [1, 2][x],
    "slice": lambda x: x[:3],
    "item": lambda x: x["a"],
    "item set": lambda x: x.__setitem__("a", 1),
    "equal": lambda x: x == "a",
    "equal the other way": lambda x: "a" == x,  # noqa: SIM300
    "not equal": lambda x: x != "a",
    "less": lambda x: x < "a",
    "sorted": lambda x: sorted([x, "a"]),
    "in a list": lambda x: x in ["a", "b"],
    "a list's index": lambda x: ["a"].index(x),
    "inside it": lambda x: "a" in x,
    "inside a text": lambda x: x in "text",
    "times": lambda x: x * 2,
    "plus a number": lambda x: 1 + x,
    "minus": lambda x: x - 1,
    "divided": lambda x: 1 / x,
    "power": lambda x: x**2,
    "negative": lambda x: -x,
    "or": lambda x: x | {},
    "int": int,
    "float": float,
    "round": round,
    "range": lambda x: range(x),
    "json": json.loads,
    "json out": lambda x: json.dumps({"a": x}),
    "join": lambda x: ", ".join([x, "b"]),
    "replace": lambda x: "text".replace("t", x),
    "regex": lambda x: re.match("a", x),
    "regex search": lambda x: re.compile("a").search(x),
    "method": lambda x: x.upper(),
    "attribute": lambda x: x.value,
    "its nodes": lambda x: x.split(",")[0],
    "isinstance": lambda x: isinstance(x, str),
    "isinstance of an error": lambda x: isinstance(x, Exception),
    "path": lambda x: Path("/tmp") / x,
    "open": lambda x: open(x),  # noqa: SIM115
    "max_tokens": lambda x: sg.gen("y", max_tokens=x),
    "stop": lambda x: sg.gen("y", stop=x),
    "a gen's name": lambda x: sg.gen(x),
    "choices": lambda x: sg.select("y", x),
    "a choice": lambda x: sg.select("y", ["a", x]),
    "match": lambda x: _matched(x),
    "sum": lambda x: sum([x, 1]),
    "max": lambda x: max(x, "a"),
    "concatenated and compared": lambda x: "a" + x + "b" == "ab",
    "concatenated in an f-string": lambda x: f"{'a' + x}",
    "concatenated and measured": lambda x: len("a" + x),
    "concatenated and branched on": lambda x: 1 if "a" + x else 2,
}
NOT_OF_THEIR_OWN = {"join", "replace", "regex", "regex search", "inside a text", "json out", "open", "path"}
NOT_OF_THEIR_OWN |= {"plus a number", "sum"}
"""TypeErrors of others, whom the symbol is not asked by, and of text in a run too: swallowed, they go unnoticed."""


def _matched(x: Any) -> int:
    match x:
        case "a":
            return 1
        case _:
            return 2


def lines_of(program: sg.Program) -> range:
    lines, first = inspect.getsourcelines(program.func)
    return range(first, first + len(lines))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("what", ["an argument", "a generated text", "a typed value"])
def test_what_needs_the_value_is_refused_with_the_line(use: str, what: str) -> None:
    @sg.function
    def ask(s: sg.ProgramState, question: str) -> None:
        s += "Q: " + sg.gen("answer") + sg.gen("number", type=int)
        USES[use](question if what == "an argument" else s["answer"] if what == "a generated text" else s["number"])

    with pytest.raises(TraceError) as caught:
        ask.trace()
    assert caught.value.source is not None
    assert caught.value.source.file == __file__
    assert str(caught.value).startswith(f"{Path(__file__).name}:{caught.value.source.line} in ")
    assert ask.trace(partial=True).stopped == caught.value.reason
    assert len(ask.trace(partial=True)) == 3


@pytest.mark.parametrize("use", [use for use in USES if use not in NOT_OF_THEIR_OWN])
def test_a_program_cannot_swallow_it(use: str) -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> str:
        s += "Q: " + sg.gen("answer")
        try:
            USES[use](s["answer"])
        except Exception:
            s += "never mind"
        return "done"

    with pytest.raises(TraceError, match="'answer'"):
        ask.trace()
    assert [type(one.node).__name__ for one in ask.trace(partial=True)] == ["Text", "Gen"]


def test_the_message_names_the_value_and_says_what_to_do() -> None:
    @sg.function
    def ask(s: sg.ProgramState, question: str) -> None:
        s += sg.gen("answer", stop="\n")
        if question:
            s += question
        if s["answer"] == "yes":
            s += "!"

    with pytest.raises(TraceError, match=r"a branch on the argument 'question' .* compile\(name=value\) fixes it"):
        ask.trace()
    with pytest.raises(TraceError, match=r"a comparison with the value 'answer' .* compile\(partial=True\) ends"):
        ask.trace(question="Why?")


def test_symbols_are_appended_concatenated_passed_on_and_returned() -> None:
    @sg.function
    def ask(s: sg.ProgramState, topic: str) -> Any:
        s += topic + "?" + sg.gen("a")
        quoted = "'" + s["a"] + "'"
        quoted += topic
        group = s.fork(2)
        group += quoted
        group += s["a"]
        s.set_var("kept", copy.deepcopy({"quoted": quoted, "all": [copy.copy(s["a"]), (1, None)]}))
        return s["kept"], s.get_meta_info("a")

    graph = ask.trace()
    quoted = Joined((Const("'"), VarRef(2, "a"), Const("'"), Arg("topic")))
    kept = Entries((("quoted", quoted), ("all", Items((VarRef(2, "a"), Items((Const(1), Const(None)), True))))))
    assert graph.result == Items((kept, VarRef(2, "a", (), "meta")), True)
    assert graph.instructions[-1].node.value == kept  # type: ignore[union-attr]


def test_a_typed_value_is_no_text() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("number", type=int)
        s += s["number"]

    with pytest.raises(TraceError, match=r"test_symbols\.py:.*'number'"):
        ask.trace()


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), {1: "a"}, sg.gen("b"), "a" + sg.gen("b")])
def test_values_a_graph_cannot_keep_are_named(value: Any) -> None:
    @sg.function
    def returning(s: sg.ProgramState) -> Any:
        return [value]

    with pytest.raises(TraceError, match="a graph cannot keep") as caught:
        returning.trace()
    assert caught.value.source is not None
    assert caught.value.source.line in lines_of(returning)

    @sg.function
    def setting(s: sg.ProgramState) -> str:
        try:
            s.set_var("a", value)
        except TraceError:
            s += "swallowed"
        return "done"

    with pytest.raises(TraceError, match="a graph cannot keep") as caught:
        setting.trace()
    assert caught.value.source is not None
    assert caught.value.source.line in lines_of(setting)


def test_has_symbols_looks_into_lists_and_dicts() -> None:
    class Trace:
        is_over = False

        def stop(self, error: TraceError) -> NoReturn:
            raise error

    one = symbol(Arg("a"), trace := Trace())
    assert all(has_symbols(value) for value in (one, one + "b", [1, [one]], {"a": (one,)}))
    assert not any(has_symbols(value) for value in ("a", sg.gen("a"), [1], {"a": None}))
    assert template([one, 1.5]) == Items((Arg("a"), Const(1.5)))
    trace.is_over = True  # from now on it is an object like any other
    assert not isinstance(one, str)
    assert repr(one) == "<symbol of Arg(name='a')>"
