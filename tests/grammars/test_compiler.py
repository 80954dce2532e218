from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from grammars import Choice, GrammarCompiler, GrammarError, GrammarLimit, InvalidSpec, JsonSchema, Regex, Vocabulary
from grammars import compiler as compiler_module
from grammars.engines.automaton import ByteAutomaton
from grammars.engines.outlines import automaton_of
from grammars.regular.pattern import Node


def test_equal_specs_share_one_grammar(vocabulary: Vocabulary) -> None:
    compiler = GrammarCompiler(vocabulary)
    assert compiler.compile(Regex("a+")) is compiler.compile(Regex("a+"))
    assert compiler.compile(Regex("a")) is not compiler.compile(Choice(("a",)))
    assert compiler.compile(JsonSchema("{}")) is not compiler.compile(JsonSchema("{}", "compact"))


def test_the_grammar_unused_longest_is_dropped_first(vocabulary: Vocabulary) -> None:
    one = GrammarCompiler(vocabulary).compile(Regex("a{50}"))
    compiler = GrammarCompiler(vocabulary, max_bytes=int(2.5 * one.num_bytes))  # type: ignore[attr-defined]
    first, second = compiler.compile(Regex("a{50}")), compiler.compile(Regex("b{50}"))
    assert compiler.compile(Regex("a{50}")) is first
    compiler.compile(Regex("c{50}"))
    assert compiler.compile(Regex("a{50}")) is first
    assert compiler.compile(Regex("b{50}")) is not second


def test_threads_that_ask_together_wait_for_one_compilation(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[Node] = []

    def slow(node: Node, max_states: int) -> ByteAutomaton:
        builds.append(node)
        time.sleep(0.05)
        return automaton_of(node, max_states)

    monkeypatch.setattr(compiler_module, "automaton_of", slow)
    compiler, barrier = GrammarCompiler(vocabulary), threading.Barrier(8)

    def ask(_: int) -> object:
        barrier.wait()
        return compiler.compile(Regex("[ab]{3}"))

    with ThreadPoolExecutor(8) as pool:
        grammars = list(pool.map(ask, range(8)))
    assert len(builds) == 1
    assert len(set(map(id, grammars))) == 1


def test_threads_may_use_one_grammar_together(vocabulary: Vocabulary) -> None:
    grammar = GrammarCompiler(vocabulary).compile(Regex("[a-c]{200}"))

    def run(_: int) -> bytes:
        matcher, row, seen = grammar.matcher(), np.zeros(vocabulary.mask_words, np.int32), b""
        for _ in range(200):
            matcher.mask_into(row)
            seen += row.tobytes()
            assert matcher.accept(ord("b"))
        return seen

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(run, range(6)))) == 1


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (Regex("("), InvalidSpec),
        (Regex(r"\bx"), GrammarError),
        (Regex(".{1,100000}"), GrammarLimit),
        (Choice(("x" * 40_000, "y" * 40_000)), GrammarLimit),
        (JsonSchema('{"type": 3}'), InvalidSpec),
    ],
)
def test_bad_specs_raise_grammar_errors_each_time(spec: Regex, error: type[Exception], vocabulary: Vocabulary) -> None:
    compiler = GrammarCompiler(vocabulary)
    for _ in range(2):
        with pytest.raises(error):
            compiler.compile(spec)


@pytest.mark.parametrize("limits", [{"max_bytes": -1}, {"max_states": 1}, {"max_states": 65_536}])
def test_limits_out_of_range_are_refused(limits: dict[str, int], vocabulary: Vocabulary) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        GrammarCompiler(vocabulary, **limits)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "('torch', 'numba', 'outlines_core', 'jsonschema')"
    code = f"import sys, grammars; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
