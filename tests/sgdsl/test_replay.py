"""Random programs, each run as it is, compiled, compiled from its graph's JSON, and compiled in part."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sgdsl as sg
from grammars.spec import Choice, Regex
from runtime.sampling.params import SamplingParams
from sgdsl.compiled import CompiledProgram
from sgdsl.ir import Graph, Instruction, Tokens
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.merge_text import merge_text
from sgdsl.passes.parallel import parallel
from sgdsl.usage import Usage

CHOICES = ("red", "light green", "blue")
ARGUMENTS = {"topic": "the thin thing", "note": ""}
GENS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stop": {"stop": " "},
    "regex": {"regex": "[ab]{2}"},
    "int": {"type": int, "max_tokens": 2},
    "one of": {"type": Literal["yes", "no"]},
    "two": {"n": 2, "seed": 7},
    "seed": {"seed": 3},
    "bare": {"name": None},
}
NOT_TEXT = ("int", "one of", "two", "bare")
NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.tuples(st.just("text"), st.sampled_from([" one", "two ", "\n", "", "the"])),
    st.tuples(st.just("arg"), st.sampled_from(sorted(ARGUMENTS))),
    st.tuples(st.just("gen"), st.tuples(NAMES, st.sampled_from(sorted(GENS)))),
    st.tuples(st.just("think"), NAMES),
    st.tuples(st.just("select"), NAMES),
    st.tuples(st.just("read"), NAMES),
    st.tuples(st.just("set"), st.tuples(NAMES, NAMES)),
    st.tuples(st.just("called"), NAMES),
)


PROGRAMS = st.recursive(
    st.lists(LEAVES, max_size=5),
    lambda inner: st.lists(
        st.one_of(
            LEAVES,
            st.tuples(st.just("fork"), st.lists(inner, min_size=1, max_size=3)),
            st.tuples(st.just("append"), st.lists(inner, min_size=1, max_size=2)),
            st.tuples(st.just("fork twice"), st.tuples(inner, inner)),
            st.tuples(st.just("copy"), inner),
            st.tuples(st.just("scope"), st.tuples(NAMES, inner)),
            st.tuples(st.just("undo"), inner),
            st.tuples(st.just("user"), inner),
        ),
        max_size=5,
    ),
    max_leaves=14,
)


@dataclass
class Teller:
    """Says the same to a state whether it runs or is traced: what it reads depends on the operations alone."""

    state: Any
    arguments: dict[str, Any]
    texts: dict[str, bool] = field(default_factory=dict)
    fresh: dict[str, bool] = field(default_factory=dict)
    in_role: bool = False

    def bind(self, name: str, is_text: bool) -> None:
        self.texts[name] = self.fresh[name] = is_text

    def say(self, ops: Sequence[Any]) -> None:
        for op, what in ops:
            getattr(self, op.replace(" ", "_"))(what)

    def text(self, what: str) -> None:
        self.state += what

    def arg(self, what: str) -> None:
        self.state += "<" + self.arguments[what]

    def gen(self, what: tuple[str, str]) -> None:
        name, kind = what
        self.state += sg.gen(**{"name": name, "max_tokens": 4, **GENS[kind]})
        if kind != "bare":
            self.bind(name, kind not in NOT_TEXT)

    def think(self, name: str) -> None:
        self.state += sg.separate_reasoning(sg.gen(name, 6), "qwen3")
        self.bind(name, True)
        self.bind(f"{name}_reasoning_content", True)

    def select(self, name: str) -> None:
        self.state += "?" + sg.select(name, CHOICES)
        self.bind(name, True)

    def read(self, name: str) -> None:
        if self.texts.get(name):
            self.state += "=" + self.state[name] + ";"

    def set(self, what: tuple[str, str]) -> None:
        name, source = what
        self.state.set_var(name, ["of", self.state[source]] if source in self.texts else "nothing")
        self.bind(name, source not in self.texts)

    def called(self, name: str) -> None:
        given = self.state[name] if self.texts.get(name) else "none"
        returned = other("topic", [given, given + "!"], temperature=0)
        self.state += returned["word"] + returned["both"][1]

    def append(self, inner: list[Any]) -> None:
        self.fork(inner, mode="concat_and_append")

    def fork(self, inner: list[Any], again: list[Any] | None = None, mode: str = "gather_variable") -> None:
        group = self.state.fork(len(inner))
        tellers = [replace(self, state=one, texts=dict(self.texts), fresh={}) for one in group]
        for rounds in (inner, again) if again else (inner,):
            for teller, ops in zip(tellers, rounds, strict=True):
                teller.say(ops)
            group.join(mode)
            self.take_over(tellers, single=False)

    def fork_twice(self, what: tuple[list[Any], list[Any]]) -> None:
        self.fork([what[0], what[1]], [what[1], what[0]])

    def copy(self, inner: list[Any]) -> None:
        with self.state.copy() as copied:
            teller = replace(self, state=copied, texts=dict(self.texts), fresh={})
            teller.say(inner)
        self.take_over([teller], single=True)

    def take_over(self, tellers: list[Teller], *, single: bool) -> None:
        for teller in tellers:
            for name, is_text in teller.fresh.items():
                self.bind(name, is_text and single)
            teller.fresh = {}

    def scope(self, what: tuple[str, list[Any]]) -> None:
        with self.state.var_scope(what[0]):
            self.say(what[1])
        self.bind(what[0], True)

    def undo(self, inner: list[Any]) -> None:
        point, before = self.state.checkpoint(), (dict(self.texts), dict(self.fresh))
        self.say(inner)
        self.state.rollback(point)
        self.texts, self.fresh = before

    def user(self, inner: list[Any]) -> None:
        with nullcontext() if self.in_role else self.state.user():
            before, self.in_role = self.in_role, True
            self.say(inner)
            self.in_role = before

    def branch(self, _: None) -> None:
        self.state += sg.gen("decision", 3)
        self.state += " long" if len(self.state["decision"]) > 4 else " short"


@sg.function
def other(s: sg.ProgramState, topic: str, said: list[str]) -> Any:
    s += topic + said[0] + said[1]
    s += sg.gen("word", 3)
    return {"word": s["word"], "both": (said[1], s["word"] + ".")}


def program_of(ops: Sequence[Any], names: list[str]) -> sg.Program:
    def perform(s: sg.ProgramState, topic: str, note: str = "none") -> Any:
        teller = Teller(s, {"topic": topic, "note": note})
        teller.say(ops)
        names[:] = sorted(teller.texts)
        return [s[name] for name in names], [s.text_of(name) for name in names]

    return sg.function(perform)


def script(prompt: str, params: SamplingParams) -> str:
    number = zlib.crc32(f"{prompt}{params.seed}".encode())
    if isinstance(params.constraint, Choice):
        return params.constraint.options[number % len(params.constraint.options)]
    if isinstance(params.constraint, Regex):
        return "ab" if "ab" in params.constraint.pattern else str(number % 97 + 1)
    return f"<think>hm {number % 7}</think> {number % 97} and more"


def with_tokens(graph: Graph) -> Graph:
    return replace(graph, instructions=(*graph.instructions, Instruction(0, Tokens())))


def outcome(state: sg.ProgramState, names: list[str]) -> dict[str, Any]:
    """Everything a run can be told apart by; how much was cached is the backend's business."""
    tokens = [step.outcome.result().value for step in state._stream.log.snapshot() if isinstance(step.node, Tokens)]
    return {
        "text": state.text(),
        "messages": state.messages(),
        "value": state.ret_value,
        "variables": {name: state[name] for name in names},
        "ids": {name: ids(state.get_meta_info(name)) for name in names},
        "tokens": tokens[-1],
        "usage": uncached(state.usage()),
    }


def ids(meta: Any) -> Any:
    if isinstance(meta, list):
        return [ids(one) for one in meta]
    return None if meta is None else (meta.get("token_ids"), meta.get("prompt_tokens"), meta.get("finish_reason"))


def uncached(usage: Usage) -> Usage:
    return replace(usage, cached_tokens=0)


def check_alike(ops: Sequence[Any], backend: Any) -> None:
    names: list[str] = []
    program = program_of(ops, names)

    def asking(s: sg.ProgramState, **arguments: str) -> Any:
        returned = program.inline(s, **arguments)
        s.tokens()
        return returned

    recorded = outcome(sg.function(asking).run(backend=backend, temperature=0, **ARGUMENTS), names)
    graph = program.trace()
    read = Graph.from_json(graph.to_json())
    assert read.to_json() == graph.to_json()
    for made in (graph, parallel(merge_text(graph)), expand_roles(graph, backend_template(backend))):
        compiled = CompiledProgram(with_tokens(made))
        assert outcome(compiled.run(backend=backend, temperature=0, **ARGUMENTS), names) == recorded
    if not any(name in str(ops) for name in ("'int'", "'one of'")):  # whose values are text once read from JSON
        state = CompiledProgram(with_tokens(read)).run(backend=backend, temperature=0, **ARGUMENTS)
        assert outcome(state, names) == recorded


def backend_template(backend: Any) -> Any:
    return getattr(backend, "chat_template", None)


@settings(max_examples=150, deadline=None)
@given(PROGRAMS)
def test_recorded_and_compiled_programs_are_the_same(ops: list[Any]) -> None:
    mock = sg.Mock(script)
    check_alike(ops, mock)
    assert mock.num_open == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ops=PROGRAMS)
def test_they_are_the_same_on_an_engine(tiny_engine: Any, ops: list[Any]) -> None:
    check_alike(ops, tiny_engine)


@settings(max_examples=100, deadline=None)
@given(before=PROGRAMS, after=PROGRAMS)
def test_programs_compiled_in_part_are_the_same(before: list[Any], after: list[Any]) -> None:
    check_alike_in_part(before, after, mock := sg.Mock(script))
    assert mock.num_open == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=PROGRAMS, after=PROGRAMS)
def test_partly_compiled_ones_are_the_same_on_an_engine(tiny_engine: Any, before: list[Any], after: list[Any]) -> None:
    check_alike_in_part(before, after, tiny_engine)


def check_alike_in_part(before: list[Any], after: list[Any], backend: Any) -> None:
    names: list[str] = []
    inner = program_of([*before, ("branch", None), *after], names)

    def perform(s: sg.ProgramState, topic: str, note: str) -> Any:
        returned = inner.inline(s, topic, note)
        s.tokens()
        return returned

    program = sg.function(perform)
    recorded = outcome(program.run(backend=backend, temperature=0, **ARGUMENTS), names)
    compiled = program.compile(partial=True)
    assert compiled.graph.stopped is not None
    assert outcome(compiled.run(backend=backend, temperature=0, **ARGUMENTS), names) == recorded


@pytest.fixture(autouse=True)
def _no_session_is_left(request: pytest.FixtureRequest) -> Any:
    yield
    if "tiny_engine" in request.fixturenames:
        engine, deadline = request.getfixturevalue("tiny_engine"), time.monotonic() + 10
        while held(engine) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert held(engine) == 0


def held(engine: Any) -> int:
    ledger = engine.stats()["ledger"]
    return int(ledger["session"] + ledger["request"])
