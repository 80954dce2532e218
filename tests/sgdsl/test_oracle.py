"""Random programs, compared with a few lines that only know strings."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import sgdsl as sg
from grammars.spec import Choice
from runtime.sampling.params import SamplingParams

CHOICES = ("red", "light green", "blue")
NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.tuples(st.just("text"), st.sampled_from([" one", "two ", "\n", ""])),
    st.tuples(st.just("gen"), NAMES),
    st.tuples(st.just("select"), NAMES),
    st.tuples(st.just("read"), NAMES),
    st.tuples(st.just("tokens"), st.none()),
)
PROGRAMS = st.recursive(
    st.lists(LEAVES, max_size=5),
    lambda inner: st.lists(
        st.one_of(
            LEAVES,
            st.tuples(st.just("fork"), st.lists(inner, min_size=1, max_size=3)),
            st.tuples(st.just("copy"), inner),
            st.tuples(st.just("scope"), st.tuples(NAMES, inner)),
            st.tuples(st.just("undo"), inner),
            st.tuples(st.just("user"), inner.filter(lambda ops: not any(op == "user" for op, _ in ops))),
        ),
        max_size=5,
    ),
    max_leaves=12,
)


def answer(prompt: str, options: tuple[str, ...] | None = None) -> str:
    number = zlib.crc32(prompt.encode())
    return options[number % len(options)] if options else f"<{number % 97}>"


def script(prompt: str, params: SamplingParams) -> str:
    return answer(prompt, params.constraint.options if isinstance(params.constraint, Choice) else None)


@dataclass
class Plain:
    text: str = ""
    names: dict[str, Any] = field(default_factory=dict)
    fresh: dict[str, Any] = field(default_factory=dict)
    in_role: bool = False

    def bind(self, name: str, value: Any) -> None:
        self.names[name] = self.fresh[name] = value

    def child(self) -> Plain:
        return Plain(self.text, dict(self.names), {}, self.in_role)


def plainly(state: Plain, ops: list[Any]) -> None:
    for op, what in ops:
        if op == "text":
            state.text += what
        elif op in ("gen", "select"):
            value = answer(state.text, CHOICES if op == "select" else None)
            state.text += value
            state.bind(what, value)
        elif op in ("fork", "copy"):
            children = [state.child() for _ in (what if op == "fork" else [what])]
            for child, inner in zip(children, what if op == "fork" else [what], strict=True):
                plainly(child, inner)
            for name in dict.fromkeys(name for child in children for name in child.fresh):
                values = [child.fresh.get(name) for child in children]
                state.bind(name, values if op == "fork" else values[0])
        elif op == "scope":
            start = len(state.text)
            plainly(state, what[1])
            state.bind(what[0], state.text[start:])
        elif op == "undo":
            before = state.text, dict(state.names), dict(state.fresh)
            plainly(state, what)
            state.text, state.names, state.fresh = before
        elif op == "user":
            entering = not state.in_role
            state.text += "<|im_start|>user\n" * entering
            state.in_role = True
            plainly(state, what)
            state.text += "<|im_end|>\n" * entering
            state.in_role = not entering


def really(state: sg.ProgramState, ops: list[Any], in_role: bool = False) -> None:
    for op, what in ops:
        if op == "text":
            state += what
        elif op == "gen":
            state += sg.gen(what)
        elif op == "select":
            state += sg.select(what, CHOICES)
        elif op == "read" and what in state:
            state.get_var(what)
        elif op == "tokens":
            state.tokens()
        elif op in BLOCKS:
            BLOCKS[op](state, what, in_role)


def fork(state: sg.ProgramState, what: list[Any], in_role: bool) -> None:
    with state.fork(len(what)) as forks:
        for one, inner in zip(forks, what, strict=True):
            really(one, inner, in_role)


def copy(state: sg.ProgramState, what: list[Any], in_role: bool) -> None:
    with state.copy() as copied:
        really(copied, what, in_role)


def scope(state: sg.ProgramState, what: Any, in_role: bool) -> None:
    with state.var_scope(what[0]):
        really(state, what[1], in_role)


def undo(state: sg.ProgramState, what: list[Any], in_role: bool) -> None:
    point = state.checkpoint()
    really(state, what, in_role)
    state.rollback(point)


def user(state: sg.ProgramState, what: list[Any], in_role: bool) -> None:
    with nullcontext() if in_role else state.user():
        really(state, what, True)


BLOCKS = {"fork": fork, "copy": copy, "scope": scope, "undo": undo, "user": user}


def check(ops: list[Any], mock: sg.Mock, backend: Any) -> None:
    plain = Plain()
    plainly(plain, ops)
    state = sg.function(lambda s: really(s, ops)).run(backend=backend, timeout=60)
    assert state.text() == plain.text
    assert {name: state[name] for name in plain.names} == plain.names
    assert ("a" in state) == ("a" in plain.names)
    assert_closed(mock)


def assert_closed(mock: sg.Mock) -> None:
    """Sessions are given up by threads of their own, which may come to it a little later."""
    deadline = time.monotonic() + 5
    while mock.num_open and time.monotonic() < deadline:
        time.sleep(0.001)
    assert mock.num_open == 0


@settings(max_examples=300, deadline=None)
@given(PROGRAMS)
def test_programs_mean_what_a_few_lines_over_strings_say(ops: list[Any]) -> None:
    mock = sg.Mock(script)
    check(ops, mock, mock)


def without_scores() -> sg.Mock:
    mock = sg.Mock(script)
    mock.capabilities = replace(mock.capabilities, score=False)
    return mock


# What these find may be a program that stands still, which takes too long to be made smaller.
MOVING = settings(
    max_examples=120, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@MOVING
@given(PROGRAMS)
@example([("gen", "a"), ("select", "b"), ("fork", [[("tokens", None), ("select", "a")], [("gen", "c")]])])
def test_so_they_do_where_sessions_move(ops: list[Any]) -> None:
    able, unable = sg.Mock(script), without_scores()
    check(ops, able, sg.Router([unable, able]))
    assert_closed(unable)


@MOVING
@given(PROGRAMS)
def test_so_they_do_where_sessions_move_to_and_fro(ops: list[Any]) -> None:
    able, unable = sg.Mock(script, latency=0.001), without_scores()
    able.capabilities = replace(able.capabilities, checkpoints=False)
    check(ops, able, sg.Router([unable, able]))
    assert_closed(unable)


Kept = Callable[..., sg.Cached]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Kept]:
    """Made once for all of a test's programs, which find what earlier ones have asked too."""
    made: list[sg.Cached] = []

    def cached(backend: Any) -> sg.Cached:
        if not made:
            made.append(sg.Cached(backend, tmp_path / "answers.db", mode="all"))
        return made[0]

    yield cached
    for one in made:
        one.close()


@MOVING
@given(ops=PROGRAMS)
def test_so_they_do_where_answers_are_kept(ops: list[Any], keep: Kept) -> None:
    cached = keep(sg.Mock(script))
    check_kept(ops, cached.backend, cached)
    check(ops[1:], cached.backend, cached)
    check(ops[:-1] * 2, cached.backend, cached)


@MOVING
@given(ops=PROGRAMS)
@example(ops=[("text", "x"), ("gen", "a"), ("select", "c"), ("tokens", None)])
def test_so_they_do_where_answers_are_kept_and_sessions_move(ops: list[Any], keep: Kept) -> None:
    cached = keep(sg.Router([without_scores(), sg.Mock(script)]))
    for _ in range(2):
        for mock in cached.backend.backends:
            check(ops, mock, cached)


def check_kept(ops: list[Any], mock: sg.Mock, cached: sg.Cached) -> None:
    for _ in range(5):  # what a program takes back it does not wait for, so that the first run may end before it
        misses = cached.misses
        check(ops, mock, cached)
        if cached.misses == misses:
            return
    raise AssertionError(f"the same program misses each time: {cached.misses} so far")


@MOVING
@given(ops=PROGRAMS, seconds=st.floats(0, 0.01), is_kept=st.booleans())
def test_nothing_is_left_of_what_is_cancelled(ops: list[Any], seconds: float, is_kept: bool, keep: Kept) -> None:
    cached = keep(sg.Router([without_scores(), sg.Mock(script, latency=0.001)]))
    backend = cached if is_kept else cached.backend
    state = sg.function(lambda s: really(s, ops)).run(backend=backend, stream=True, timeout=10)
    time.sleep(seconds)
    state.cancel()
    with suppress(sg.ProgramError):
        state.sync(timeout=5)
    deadline = time.monotonic() + 5
    while any(mock.num_open for mock in cached.backend.backends) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [mock.num_open for mock in cached.backend.backends] == [0, 0]
