from __future__ import annotations

import sgdsl as sg
from grammars.spec import Regex
from sgdsl.passes.constraints import constraints


def test_each_constraint_once_in_order_those_of_called_programs_too() -> None:
    @sg.function
    def inner(s: sg.ProgramState) -> None:
        s += sg.gen("a", regex="b") + sg.gen("b", regex="c")

    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen() + sg.gen("a", regex="a") + sg.gen("b", regex="b")
        inner()
        s += sg.gen("c", regex="a")

    assert constraints(program.trace()) == [Regex("a"), Regex("b"), Regex("c")]


def test_a_batch_has_them_compiled_ahead() -> None:
    @sg.function
    def program(s: sg.ProgramState) -> None:
        s += sg.gen("a", regex="ab")

    class Ahead(sg.Mock):
        def __init__(self) -> None:
            super().__init__()
            self.capabilities = sg.Capabilities(labels=True, compiles_ahead=True)
            self.compiled: list[object] = []

        def compile_ahead(self, constraints: object) -> None:
            self.compiled.append((constraints, len(self.calls)))

    mock = Ahead()
    program.compile(backend=mock)
    program.compile().run_batch([{}] * 3, backend=mock)
    assert mock.compiled == [([Regex("ab")], 0)] * 2
