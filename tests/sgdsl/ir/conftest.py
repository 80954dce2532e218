from __future__ import annotations

from typing import Any, Literal

import pytest

import sgdsl as sg
from sgdsl.ir import Graph


@sg.function
def summary(s: sg.ProgramState, text: str) -> str:
    s += sg.user("Sum up: " + text) + sg.assistant(sg.gen("short", max_tokens=9, stop=["\n", "'"]))
    return s["short"]


@sg.function
def everything(s: sg.ProgramState, topic: str, tone: str = "kind", n: int = 2) -> Any:
    s += sg.system("Be " + tone + ".")
    with s.user(), s.var_scope("question"):
        s += "What of " + topic + "?"
    s += sg.assistant(sg.separate_reasoning(sg.gen("answer", regex=r'[^"\\]{3}', seed=1, n=2), "qwen3"))
    group = s.fork(n)
    group += lambda i: sg.user(f"Mark {i}?") + sg.assistant(sg.gen("mark", json_schema={"type": "integer"}))
    group.join(return_exceptions=True)
    with s.copy() as copied:
        copied += sg.select("team", ["a", "b"], choices_method=sg.joint_likelihood, temperature=0.5, timeout=3.5)
    point = s.checkpoint()
    s += "draft " + sg.gen("draft", logit_bias={3: -1.5}, token_healing=True)
    s.rollback(point)
    s += summary(s["answer"][0], temperature=0) + s["team"]
    s.set_var("kept", {"marks": s["mark"], "tuple": (1, None, 2.5, True), "text": "<" + s["team"] + ">"})
    s += sg.gen("last", type=Literal["yes", "no"])
    return s["kept"], s.get_meta_info("last"), s["last"]


@pytest.fixture
def graph() -> Graph:
    """A graph with every kind of instruction that programs can write down today."""
    return everything.trace()
