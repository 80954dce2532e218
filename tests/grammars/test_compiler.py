from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from grammars import (
    Choice,
    Grammar,
    GrammarCompiler,
    GrammarError,
    GrammarLimit,
    InvalidSpec,
    JsonSchema,
    Regex,
    Vocabulary,
    compile_spec,
)
from grammars.engines.base import EngineAbsent
from grammars.engines.outlines import OutlinesEngine
from grammars.errors import GrammarCancelled
from grammars.machine.engine import MachineEngine
from grammars.spec import Gbnf, JsonObject, Lark, Spec


class Counting:
    """An engine that counts what it compiles, and takes its time; grammars are as large as their pattern says."""

    name = "counting"

    def __init__(self, seconds: float = 0.0) -> None:
        self.compiled: list[Spec] = []
        self._seconds = seconds

    def compile(self, spec: Spec, is_cancelled: Callable[[], bool] | None = None) -> Grammar:
        self.compiled.append(spec)
        time.sleep(self._seconds)
        if isinstance(spec, Choice):
            raise InvalidSpec("no choice")
        assert isinstance(spec, Regex)
        return Sized(int(spec.pattern.lstrip("ab")))


class Sized:
    warnings = ()

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes

    def matcher(self) -> object:
        raise NotImplementedError


def counting(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch, *, seconds: float = 0.0, max_bytes: int = 2**20
) -> tuple[GrammarCompiler, Counting]:
    engine = Counting(seconds)
    monkeypatch.setattr("grammars.compiler.engine_named", lambda name: lambda vocabulary: engine)
    return GrammarCompiler(vocabulary, engine="outlines", max_bytes=max_bytes), engine


def test_equal_specs_share_one_grammar(compiler: GrammarCompiler, vocabulary: Vocabulary) -> None:
    assert compiler.compile(Regex("a+")) is compiler.compile(Regex("a+"))
    assert compiler.compile(Regex("a")) is not compiler.compile(Choice(("a",)))
    assert compiler.compile(JsonSchema("{}")) is not compiler.compile(JsonSchema("{}", "compact"))
    assert compile_spec(Regex("a+"), vocabulary, engine="outlines") is not compiler.compile(Regex("a+"))


def test_the_grammar_unused_longest_is_dropped_first(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, _ = counting(vocabulary, monkeypatch, max_bytes=100)
    first, second = compiler.compile(Regex("a40")), compiler.compile(Regex("b40"))
    assert compiler.find(Regex("a40")) is first
    compiler.compile(Regex("ab40"))
    assert compiler.find(Regex("a40")) is first
    assert compiler.find(Regex("b40")) is None
    assert compiler.compile(Regex("b40")) is not second
    assert compiler.num_bytes == 80


def test_grammars_that_grew_meanwhile_count_as_what_they_are(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, _ = counting(vocabulary, monkeypatch, max_bytes=100)
    first = compiler.compile(Regex("a10"))
    compiler.compile(Regex("b10"))
    first.num_bytes = 95  # type: ignore[misc]
    assert compiler.num_bytes == 105
    compiler.compile(Regex("ab1"))
    assert [compiler.find(Regex(pattern)) is not None for pattern in ("a10", "b10", "ab1")] == [False, True, True]


def test_the_grammar_used_last_is_kept_whatever_its_size(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, engine = counting(vocabulary, monkeypatch, max_bytes=0)
    large = compiler.compile(Regex("a1000"))
    assert compiler.compile(Regex("a1000")) is large
    compiler.compile(Regex("b1"))
    assert compiler.find(Regex("a1000")) is None
    assert len(engine.compiled) == 2


def test_finding_compiles_nothing_and_waits_for_nobody(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, engine = counting(vocabulary, monkeypatch, seconds=0.5)
    assert compiler.find(Regex("a1")) is None
    assert engine.compiled == []
    thread = threading.Thread(target=compiler.compile, args=(Regex("a1"),))
    thread.start()
    while not engine.compiled:
        time.sleep(0.001)
    begin = time.perf_counter()
    assert compiler.find(Regex("a1")) is None
    assert time.perf_counter() - begin < 0.3
    thread.join()
    assert compiler.find(Regex("a1")) is not None


def test_threads_that_ask_together_wait_for_one_compilation(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, engine = counting(vocabulary, monkeypatch, seconds=0.05)
    barrier = threading.Barrier(8)

    def ask(number: int) -> object:
        barrier.wait()
        return compiler.compile(Regex("a1" if number % 2 else "b1"))

    with ThreadPoolExecutor(8) as pool:
        grammars = list(pool.map(ask, range(8)))
    assert sorted(spec.pattern for spec in engine.compiled if isinstance(spec, Regex)) == ["a1", "b1"]
    assert len({id(grammar) for grammar in grammars[::2]}) == len({id(grammar) for grammar in grammars[1::2]}) == 1


def test_a_failure_is_everybodys_and_kept_for_nobody(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, engine = counting(vocabulary, monkeypatch, seconds=0.02)
    barrier = threading.Barrier(4)

    def ask(_: int) -> str:
        barrier.wait()
        with pytest.raises(InvalidSpec) as caught:
            compiler.compile(Choice(("a",)))
        return str(caught.value)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == {"no choice"}
    assert compiler.find(Choice(("a",))) is None
    with pytest.raises(InvalidSpec):
        compiler.compile(Choice(("a",)))
    assert compiler.compile(Regex("a1")) is compiler.find(Regex("a1"))
    assert len(engine.compiled) >= 3


def test_threads_may_use_one_grammar_together(compiler: GrammarCompiler, vocabulary: Vocabulary) -> None:
    grammar = compiler.compile(Regex("[a-c]{200}"))

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
    ("spec", "error", "message"),
    [
        (Regex("("), InvalidSpec, r"."),
        (Regex(r"(a)\1"), GrammarError, r"."),
        (Regex("a(?!a)(?=b)c"), InvalidSpec, "regex: no text matches it"),
        (JsonSchema('{"type": 3}'), InvalidSpec, "type"),
        (JsonSchema('{"minimum": 3, "maximum": 2, "type": "number"}'), InvalidSpec, "no value satisfies it"),
        (JsonSchema('{"$ref": "https://example.com/x"}'), GrammarError, r"\$ref"),
        (JsonSchema('{"items": {"pattern": "(a)\\\\1"}}'), GrammarError, "pattern"),
        (Gbnf("root ::= ("), InvalidSpec, r"."),
        (Lark("start: nowhere"), InvalidSpec, "nowhere"),
        (Lark("start: <|nowhere|>"), InvalidSpec, r"<\|nowhere\|>"),
    ],
)
def test_bad_specs_raise_grammar_errors_each_time(
    spec: Spec, error: type[Exception], message: str, compiler: GrammarCompiler
) -> None:
    for _ in range(2):
        with pytest.raises(error, match=message) as caught:
            compiler.compile(spec)
        assert "\n" not in str(caught.value)
    assert compiler.find(spec) is None


def test_engines_go_by_name(vocabulary: Vocabulary) -> None:
    for name, kind in (("sgdsl", MachineEngine), ("outlines", OutlinesEngine)):
        compiler = GrammarCompiler(vocabulary, engine=name)
        compiler.warm()
        assert isinstance(compiler._engine, kind)
        assert compiler.engine == name
        assert compiler.compile(Regex("ab")).matcher().accept(ord("a"))
    with pytest.raises(ValueError, match="grammar_engine: 'magic' is not one of sgdsl, outlines"):
        GrammarCompiler(vocabulary, engine="magic")
    with pytest.raises(GrammarError, match="JsonObject at /: outlines does not take it"):
        GrammarCompiler(vocabulary, engine="outlines").compile(JsonObject())


def test_an_engine_that_is_not_installed_shows_when_it_is_needed(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(wanted: str) -> None:
        raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)

    monkeypatch.setattr("grammars.engines.base.import_module", absent)
    compiler = GrammarCompiler(vocabulary, engine="llguidance")
    for ask in (compiler.warm, lambda: compiler.compile(Regex("a"))):
        with pytest.raises(EngineAbsent, match="llguidance"):
            ask()


def test_the_vocabularys_tables_are_made_once_and_left_in_the_folder(vocabulary: Vocabulary, tmp_path: Path) -> None:
    compiler = GrammarCompiler(vocabulary, cache_dir=tmp_path)
    compiler.warm()
    engine = compiler._engine
    written = {kept: kept.stat().st_mtime_ns for kept in tmp_path.iterdir()}
    assert written
    compiler.warm()
    compiler.compile(Regex("a"))
    assert compiler._engine is engine
    GrammarCompiler(vocabulary, cache_dir=tmp_path).warm()
    assert {kept: kept.stat().st_mtime_ns for kept in tmp_path.iterdir()} == written


@pytest.mark.parametrize("max_bytes", [-1, -(2**40)])
def test_limits_out_of_range_are_refused(max_bytes: int, vocabulary: Vocabulary) -> None:
    with pytest.raises(ValueError, match=f"max_bytes: {max_bytes} is not >= 0"):
        GrammarCompiler(vocabulary, max_bytes=max_bytes)


def deep(keyword: str, depth: int) -> Callable[[], Spec]:
    return lambda: JsonSchema(f'{{"{keyword}":' * depth + "{}" + "}" * depth)


@pytest.mark.parametrize("make", [deep("not", 3_000), deep("items", 3_000), lambda: Regex("(" * 9_000 + ")" * 9_000)])
def test_depth_is_no_crash(make: Callable[[], Spec], compiler: GrammarCompiler, vocabulary: Vocabulary) -> None:
    with contextlib.suppress(GrammarLimit, InvalidSpec):
        compiler.compile(make()).matcher().mask_into(np.zeros(vocabulary.mask_words, np.int32))
    assert compiler.compile(Regex("a")).matcher().accept(ord("a"))


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "('torch', 'numba', 'outlines_core', 'jsonschema')"
    code = f"import sys, grammars; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_compilation_that_is_not_wanted_any_more_stops(compiler: GrammarCompiler) -> None:
    spec = JsonSchema.of({"properties": {"a": {"pattern": "x"}}})
    asked: list[bool] = []

    def is_cancelled() -> bool:
        asked.append(True)
        return True

    fresh = GrammarCompiler(compiler.vocabulary)
    with pytest.raises(GrammarCancelled):
        fresh.compile(spec, is_cancelled)
    assert asked == [True]
    assert fresh.compile(spec).warnings == ()
