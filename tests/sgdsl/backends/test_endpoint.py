from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sgdsl as sg
from runtime.engine import Engine


def test_thin(tiny_engine: Engine, serve: Callable[..., Any], connect: Callable[..., Any]) -> None:
    @sg.function
    def program(s: sg.ProgramState) -> Any:
        s += "Hello " + sg.gen("a", 8, temperature=0) + sg.select("b", ["x", "yy"])
        forks = s.fork(3)
        forks += lambda i: f"{i}" + sg.gen("c", 4, temperature=0, regex="[0-9]+")
        forks.join()
        return s["a"], s["b"], s["c"], s.tokens()

    direct = program.run(backend=tiny_engine)
    endpoint = connect(serve(tiny_engine))
    remote = program.run(backend=endpoint)
    assert remote.ret_value == direct.ret_value
