from __future__ import annotations

import sgdsl as sg
from runtime.hint import Hint
from sgdsl.ir import Gen, Select
from sgdsl.passes.lifetimes import DEFAULT_MAX_TOKENS, lifetimes


@sg.function
def program(s: sg.ProgramState) -> None:
    s += sg.gen("root", max_tokens=5)
    for place, child in enumerate(s.fork(2)):
        for _ in range(place + 1):
            child += sg.gen("leaf", max_tokens=10) + sg.select("choice", ["ab", "é"])
    s += sg.gen("end")


def test_what_follows_each_call_on_its_longest_line() -> None:
    graph = program.trace()
    hints = lifetimes(graph)
    names = {index: one.node.name for index, one in enumerate(graph) if isinstance(one.node, Gen | Select)}
    root, end = (next(index for index, name in names.items() if name == wanted) for wanted in ("root", "end"))
    assert hints[root] == Hint(remaining_calls=4, remaining_tokens=DEFAULT_MAX_TOKENS, extends_again=True)
    assert lifetimes(graph, max_tokens=7)[root].remaining_tokens == 24
    assert hints[end] == Hint(remaining_calls=0, remaining_tokens=0, extends_again=False)
    assert hints.keys() == names.keys()
