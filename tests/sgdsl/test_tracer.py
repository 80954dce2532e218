from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import sgdsl as sg
from sgdsl.errors import TraceError
from sgdsl.ir import Arg, Call, Const, Gen, Graph, Parameter, SetVar, Text, VarRef


def line_of(program: sg.Program, code: str) -> int:
    lines, first = inspect.getsourcelines(program.func)
    return first + next(place for place, line in enumerate(lines) if code in line)


def texts(graph: Graph) -> str:
    return "".join(one.node.text for one in graph if isinstance(one.node, Text))


def stopped_at(program: sg.Program, code: str, match: str, **arguments: Any) -> None:
    """The trace raises, naming the line with this code."""
    with pytest.raises(TraceError, match=match) as caught:
        program.trace(**arguments)
    assert caught.value.source is not None
    assert (caught.value.source.file, caught.value.source.line) == (__file__, line_of(program, code))


# arguments


def test_what_is_given_is_fixed_texts_are_open_and_other_defaults_are_fixed() -> None:
    @sg.function
    def ask(s: sg.ProgramState, topic: str, style: str = "short", n: int = 2, *, last: str) -> None:
        for place in range(n):
            s += f"{place}" + topic + style + last

    graph = ask.trace(topic="cats")
    assert graph.parameters == (
        Parameter(name="topic", default="cats", is_fixed=True, is_keyword=True),
        Parameter(name="style", default="short"),
        Parameter(name="n", default=2, is_fixed=True),
        Parameter(name="last", is_required=True, is_keyword=True),
    )
    assert [one.node for one in graph][:4] == [Text("0cats"), Arg("style"), Arg("last"), Text("1cats")]
    assert texts(ask.trace(topic="cats", n=1)) == "0cats"


def test_bound_arguments_are_fixed_and_can_be_given_anew() -> None:
    @sg.function
    def ask(s: sg.ProgramState, topic: str, n: int) -> None:
        s += topic * n

    bound = ask.bind(topic="ab", n=2)
    assert texts(bound.trace()) == "abab"
    assert texts(bound.trace(n=1)) == "ab"


def test_positional_only_and_any_number_of_arguments() -> None:
    @sg.function
    def ask(s: sg.ProgramState, first: str, /, *rest: str, **options: str) -> str:
        s += first + str(sorted(options.items())) + "".join(rest)
        return first

    graph = ask.trace(size="big")
    assert [one.node for one in graph] == [Arg("first"), Text("[('size', 'big')]")]
    assert graph.parameters[1] == Parameter(name="size", default="big", is_fixed=True, is_keyword=True)
    assert texts(ask.trace(first="one")) == "one[]"
    with pytest.raises(TypeError, match="plain has no argument 'size'"):
        sg.function(plain).trace(size="big")


def plain(s: sg.ProgramState) -> None:
    s += "text"


# what stops it


@pytest.mark.parametrize(
    ("read", "match"),
    [
        (lambda s: s.text(), r"s\.text\(\)"),
        (lambda s: s.messages(), r"s\.messages\(\)"),
        (lambda s: s.tokens(), r"s\.tokens\(\)"),
        (lambda s: s.error(), r"s\.error\(\)"),
        (lambda s: s.usage(), r"s\.usage\(\)"),
        (lambda s: s.cancel(), r"s\.cancel\(\)"),
        (lambda s: list(s.events()), "the text"),
        (lambda s: list(s.text_iter()), "the text"),
        (lambda s: list(s.text_iter("a")), "the text"),
        (lambda s: s.fork(2)[1].text(), r"s\.text\(\)"),
        (lambda s: s.copy().fork(1)[0].messages(), r"s\.messages\(\)"),
        (lambda s: plain_program.run(backend=sg.Mock()), "running plain inside"),
        (lambda s: plain_program.run(backend=sg.Mock(), stream=True), "running plain inside"),
        (lambda s: plain_program.run_batch([{}], backend=sg.Mock(), return_exceptions=True), "a batch inside"),
        (lambda s: plain_program(backend=sg.Mock()), "backend= of a called program"),
        (lambda s: plain_program(timeout=3), "timeout= of a called program"),
    ],
)
@pytest.mark.parametrize("swallowed", [False, True])
def test_reads_of_the_whole_and_other_runs_end_a_graph(
    read: Callable[[Any], Any], match: str, swallowed: bool
) -> None:  # fmt: skip
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        try:
            read(s)
        except Exception:
            if not swallowed:
                raise
        s += "more"

    with pytest.raises(TraceError, match=match) as caught:
        ask.trace()
    assert caught.value.source is not None
    assert caught.value.source.file == __file__
    assert type(ask.trace(partial=True).instructions[0].node) is Gen
    assert "more" not in texts(ask.trace(partial=True))


plain_program = sg.function(plain)


def test_waiting_is_no_reading() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> bool:
        s += sg.gen("a")
        s.sync()
        return "a" in s and "b" not in s

    assert ask.trace().result == Const(True)


def test_a_name_read_before_it_is_written() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        s += s["b"]

    stopped_at(ask, 's += s["b"]', "KeyError while it was traced: no variable 'b' in this state; there are: a")


def test_a_name_that_was_rolled_back_and_one_of_a_fork() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        point = s.checkpoint()
        s += sg.gen("a")
        s.rollback(point)
        return s["a"]

    stopped_at(ask, 'return s["a"]', "no variable 'a'")

    @sg.function
    def fork(s: sg.ProgramState) -> None:
        group = s.fork(2)
        group += sg.gen("a")
        return s["a"]

    stopped_at(fork, 'return s["a"]', "no variable 'a'")


def test_errors_inside_children_name_their_line() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        for child in s.fork(2):
            for grandchild in child.fork(2):
                with grandchild.user():
                    raise ValueError("too deep")

    stopped_at(ask, "raise ValueError", "ValueError while it was traced: too deep")
    graph = ask.trace(partial=True)
    assert graph.num_streams == 5
    assert graph.stopped is not None


def test_arguments_of_the_language_are_checked_while_it_is_traced() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("a", temperature=-1)

    stopped_at(ask, "temperature=-1", "InvalidArgument while it was traced: temperature")


def test_roles_are_checked_while_it_is_traced() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        with s.user():
            s += sg.assistant("no")

    stopped_at(ask, "sg.assistant", "role 'assistant' begins inside role 'user'")


# values


def test_forks_joins_and_copies_bind_symbols() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> Any:
        with s.fork(2) as group:
            group += sg.gen("a")
        with s.fork(2) as again:
            again += sg.gen("a", n=2) + sg.gen("b", type=int)
        with s.copy() as copied:
            copied += sg.select("c", ["x", "y"])
        return s["a"], s["b"], s["c"], s.text_of("b")

    result = ask.trace().result
    assert [one.origin for one in references(result)] == [5, 5, 7, 7, 6, 8, 11, 6, 8]
    assert [one.path for one in references(result)] == [(0,), (1,), (0,), (1,), (), (), (), (), ()]


def references(value: Any) -> list[VarRef]:
    from sgdsl.ir.values import references as found

    return [one for one in found(value) if isinstance(one, VarRef)]


def test_values_of_a_join_that_returns_exceptions_are_the_joins() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> Any:
        group = s.fork(2)
        group += sg.gen("a")
        group[0] += sg.gen("b")
        group.join(return_exceptions=True)
        return s["a"], s["b"]

    graph = ask.trace()
    assert references(graph.result) == [VarRef(4, "a", (0,)), VarRef(4, "a", (1,)), VarRef(4, "b", (0,))]


def test_values_of_the_programs_own() -> None:
    @sg.function
    def ask(s: sg.ProgramState, topic: str) -> Any:
        s.set_var("number", 5)
        s["list"] = [topic, 5]
        return s["number"] + 1, s.text_of("number"), s["list"], s.text_of("list")

    graph = ask.trace()
    assert graph.result.values[:2] == (Const(6), Const("5"))  # type: ignore[union-attr]
    assert references(graph.result) == [VarRef(1, "list", (), "text")]
    assert isinstance(graph.instructions[1].node, SetVar)
    assert graph.instructions[1].source is not None
    assert graph.instructions[1].source.line == line_of(ask, 's["list"] =')


# other programs


@sg.function
def summary(s: sg.ProgramState, text: str, points: Any = (), **options: Any) -> Any:
    s += text
    for point in points:
        s += point
    s += sg.gen("short", max_tokens=options.get("length", 5))
    return {"short": s["short"], "pair": (s["short"] + "!", 7)}


def test_called_programs_keep_their_arguments() -> None:
    @sg.function
    def ask(s: sg.ProgramState, topic: str) -> Any:
        s += sg.gen("a") + sg.gen("b")
        found = summary(topic + ".", points=[s["a"], "fixed", s["b"]], length=9, temperature=0.5)
        s += found["pair"][0]
        return found

    graph = ask.trace()
    call = graph.instructions[2].node
    assert isinstance(call, Call)
    assert [name for name, _ in call.arguments] == ["text", "points[0]", "points[2]"]
    assert call.sampling.temperature == 0.5
    inner = [one.node for one in call.graph]
    assert inner[:4] == [Arg("text"), Arg("points[0]"), Text("fixed"), Arg("points[2]")]
    assert inner[4].sampling.max_tokens == 9  # type: ignore[union-attr]
    assert graph.instructions[3].node == VarRef(2, "", ("pair", 0))
    assert {one.path for one in references(graph.result)} == {("short",), ("pair", 0)}


def test_a_branch_in_a_called_program_ends_the_calling_one() -> None:
    @sg.function
    def grade(s: sg.ProgramState, text: str) -> str:
        return "long" if len(text) > 5 else "short"

    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        try:
            s += grade(s["a"])
        except TraceError:
            s += "swallowed"

    with pytest.raises(TraceError, match="the length of the argument 'text'") as caught:
        ask.trace()
    assert caught.value.source is not None
    assert caught.value.source.line == line_of(grade, "len(text)")
    assert grade.trace(text="1234567").result == Const("long")


def test_symbols_that_come_in_by_other_ways_are_refused() -> None:
    @sg.function
    def ask(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        taken = s["a"]

        @sg.function
        def inner(s2: sg.ProgramState) -> None:
            s2 += "text" + sg.gen("b") + taken

        inner()

    with pytest.raises(TraceError, match="'a' is of another program: give it as an argument"):
        ask.trace()


def test_inlined_programs_are_part_of_the_graph() -> None:
    @sg.function
    def ask(s: sg.ProgramState, topic: str) -> Any:
        return s.call(summary, topic)["short"]

    graph = ask.trace()
    assert [type(one.node) for one in graph] == [Arg, Gen]
    assert graph.result == VarRef(1, "short")


# async programs


@sg.function
async def patient(s: sg.ProgramState, topic: str) -> Any:
    s += topic + sg.gen("a")
    await s.wait()
    other = await summary(await s.get("a"))
    s += other["short"]
    group = s.fork(2)

    async def fill(state: sg.ProgramState) -> None:
        await asyncio.sleep(0)
        state += sg.gen("b")

    await asyncio.gather(*(fill(state) for state in group))
    group.join()
    return await s.get("b")


def test_async_programs_outside_and_inside_a_running_loop() -> None:
    graph = patient.trace()
    assert [type(one.node).__name__ for one in graph] == ["Arg", "Gen", "Call", "VarRef", "Fork", "Gen", "Gen", "Join"]

    async def inside() -> Graph:
        return patient.trace()

    assert asyncio.run(inside()) == graph


async def test_async_programs_that_fail() -> None:
    @sg.function
    async def ask(s: sg.ProgramState) -> None:
        s += sg.gen("a")
        if await s.get("a") == "yes":
            s += "more"

    stopped_at(ask, 'if await s.get("a")', "a comparison with the value 'a'")

    @sg.function
    async def read(s: sg.ProgramState) -> None:
        s += "text"
        await s.get_tokens()

    stopped_at(read, "get_tokens", r"s\.tokens\(\)")

    @sg.function
    async def leave(s: sg.ProgramState) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        leave.trace()


def test_nothing_is_left_of_a_trace() -> None:
    from sgdsl.run import current_run

    with pytest.raises(TraceError):
        sg.function(lambda s: s.text()).trace()
    assert current_run() is None
