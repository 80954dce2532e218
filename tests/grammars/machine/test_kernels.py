"""The compiled functions against the same functions in plain Python, on the same tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from grammars import JsonSchema, Matcher, Regex
from grammars.machine.engine import MachineEngine
from grammars.machine.kernels import Kernels, compiled_kernels
from grammars.machine.matcher import MachineMatcher
from grammars.machine.tables import VocabularyTables
from grammars.spec import Gbnf, Spec

Allowed = Callable[[Matcher], set[int]]

SPECS: list[Spec] = [
    Regex("(?:ab|é|1)*[^a]{2,5}"),
    Regex("[a-zé]{3,90}|12"),
    JsonSchema.of({}),
    JsonSchema.of({}, "flexible"),
    JsonSchema.of({"type": "string", "minLength": 2, "maxLength": 9}),
    JsonSchema.of({"type": "array", "uniqueItems": True, "items": {"type": ["integer", "string"]}}),
    JsonSchema.of({"properties": {"ab": {"type": "null"}, "Ab": {}}, "patternProperties": {"^[a-z]": {"maximum": 12}},
                   "type": "object"}, key_order="any"),
    JsonSchema.of({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"items": {"type": "string"}}]}),
    Gbnf('root ::= "a" root "b" | "ab" root | "a" root | ("é" | [^a-c])* | "12"'),
]  # fmt: skip


@contextmanager
def run_by(tables: VocabularyTables, kernels: Kernels) -> Iterator[None]:
    before, tables.kernels = tables.kernels, kernels
    try:
        yield
    finally:
        tables.kernels = before


def seen(matcher: MachineMatcher, allowed: Allowed) -> tuple[object, ...]:
    return (
        allowed(matcher),
        matcher.threads.tolist(),
        matcher.is_complete(),
        matcher.is_exhausted(),
        matcher.forced_bytes(),
    )


def test_numba_is_there(engine: MachineEngine) -> None:
    assert engine.tables.kernels.is_compiled
    assert engine.tables.kernels.fill_rows is not None


@pytest.mark.parametrize("spec", SPECS, ids=range(len(SPECS)))
def test_both_see_the_same_all_along_a_text(
    spec: Spec, engine: MachineEngine, plain: Kernels, allowed: Allowed, walked: Callable[..., Iterator[MachineMatcher]]
) -> None:
    for matcher in walked(engine.compile(spec), random.Random(4), 9):
        compiled = seen(matcher, allowed)
        with run_by(engine.tables, plain):
            assert seen(matcher, allowed) == compiled


@pytest.mark.parametrize("spec", SPECS, ids=range(len(SPECS)))
def test_plain_python_makes_the_same_tables_by_itself(
    spec: Spec, engine: MachineEngine, plain: Kernels, allowed: Allowed
) -> None:
    rng = random.Random(5)
    ours = engine.compile(spec).matcher()
    twin = MachineEngine(engine.vocabulary, kernels=plain).compile(spec).matcher()
    for _ in range(5):
        mask = allowed(ours)
        assert allowed(twin) == mask
        assert (twin.is_complete(), twin.is_exhausted()) == (ours.is_complete(), ours.is_exhausted())
        assert len(twin.threads) == len(ours.threads)
        if ours.is_exhausted():
            break
        token = rng.choice(sorted(mask))
        assert ours.accept(token)
        assert twin.accept(token)


def test_without_numba_plain_python_does(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(__import__("sys").modules, "numba", None)
    kernels = compiled_kernels()
    assert not kernels.is_compiled
    assert kernels.fill_rows is None
    assert "numba is not installed" in caplog.text
