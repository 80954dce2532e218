"""The grammar engines beside each other: compile and mask times on built-in schemas, all behind one protocol."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.grammar_schemas import SCHEMAS
from benchmarks.report import Report, Row
from grammars import GrammarError, JsonSchema, Vocabulary
from grammars.engines.base import Engine, EngineAbsent
from grammars.engines.registry import DEFAULT, engine_named

__all__ = ["Figures", "compare", "measure"]

PEERS = ("llguidance", "xgrammar")


@dataclass(slots=True)
class Figures:
    """What one engine took, over all schemas.

    Attributes:
        compile_ms: of each schema, the median of the turns.
        mask_us: of each token of each value.
        refused: schemas it does not take.
        rejected: valid values it does not accept.
    """

    compile_ms: list[float] = field(default_factory=list)
    mask_us: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Microseconds of the mask that `share` percent are not slower than."""
        return float(np.percentile(self.mask_us, share))


def measure(engine: Engine, vocabulary: Vocabulary, encode: Callable[[str], list[int]], repeat: int) -> Figures:
    """Compiles every schema `repeat` times, and follows its value as often."""
    figures = Figures()
    for name, (schema, value) in SCHEMAS.items():
        spec = JsonSchema.of(schema)
        ids = encode(json.dumps(value, ensure_ascii=False))
        compiling: list[float] = []
        try:
            for _ in range(repeat):
                begin = time.perf_counter()
                grammar = engine.compile(spec)
                compiling.append((time.perf_counter() - begin) * 1e3)
        except GrammarError:
            figures.refused.append(name)
            continue
        figures.compile_ms.append(statistics.median(compiling))
        row = np.zeros(vocabulary.mask_words, np.int32)
        for _ in range(repeat):
            matcher = grammar.matcher()
            for token in ids:
                begin = time.perf_counter()
                matcher.mask_into(row)
                figures.mask_us.append((time.perf_counter() - begin) * 1e6)
                if not matcher.accept(token):
                    break
        if not matcher.is_complete():
            figures.rejected.append(name)
    return figures


def compare(report: Report, vocabulary: Vocabulary, encode: Callable[[str], list[int]], repeat: int) -> None:
    """Our figures, and their ratio to those of the other engines that are installed."""
    # The first compilation of all makes what belongs to the vocabulary; it is not the schemas' to pay for.
    made = {DEFAULT: engine_named(DEFAULT)(vocabulary)}
    for name in PEERS:
        try:
            made[name] = engine_named(name)(vocabulary)
        except EngineAbsent as absent:
            print(absent)
    found = {}
    for name, engine in made.items():
        engine.compile(JsonSchema("{}"))
        found[name] = measure(engine, vocabulary, encode, repeat)
    ours = found.pop(DEFAULT)
    count = len(SCHEMAS)
    right = count - len(ours.refused) - len(ours.rejected)
    report.add(Row(f"grammars: schemas right, of {count}", right, goal=f"= {count}", met=right == count))
    report.below("grammars: compile, median ms", statistics.median(ours.compile_ms), 2)
    report.below("grammars: mask, p50 µs", ours.percentile(50), 4)
    report.below("grammars: mask, p99 µs", ours.percentile(99), 80)
    for name, theirs in found.items():
        missing = ", ".join(theirs.refused + theirs.rejected)
        report.add(
            Row(
                f"  {name}: schemas right{f' (not {missing})' if missing else ''}",
                count - len(theirs.refused) - len(theirs.rejected),
            )
        )
        ms, their_ms = statistics.median(ours.compile_ms), statistics.median(theirs.compile_ms)
        report.shorter(f"  beside {name}: compile, median ms", ms, their_ms)
        for share in (50, 99):
            report.shorter(f"  beside {name}: mask, p{share} µs", ours.percentile(share), theirs.percentile(share))
