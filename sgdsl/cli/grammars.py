"""Grammars: `sgdsl grammars check`."""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.explanation import Explanation, explain

if TYPE_CHECKING:
    from grammars import Grammar
    from grammars.spec import Spec

__all__ = ["check"]

SUFFIXES = ".json, .lark, .gbnf, .ebnf, .regex, .txt"
SHOWN = 400
"""Characters of a sample that people are shown."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to say about one grammar.

    Attributes:
        kind: of spec.
        compile_ms: without what belongs to the engine.
        num_bytes: memory its tables take when everything asked for is done.
        samples: random texts; None for one that did not come to an end.
    """

    file: str
    kind: str
    engine: str
    compile_ms: float
    num_bytes: int
    warnings: tuple[str, ...]
    samples: tuple[str | None, ...]
    explanation: Explanation | None

    def report(self) -> str:
        """As people read it."""
        size = f"{self.num_bytes / 1024:.0f} KB"
        lines = [f"{self.file}: {self.kind}, compiled by {self.engine} in {self.compile_ms:.1f} ms, {size}"]
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += map(_shown, self.samples)
        if self.explanation is not None:
            lines.append(self.explanation.report())
        return "\n".join(lines)


def check(options: argparse.Namespace) -> int:
    """Compiles a grammar and prints what was asked for; 1 when a text to be explained is not accepted.

    Raises:
        CommandError: the file cannot be read, or the grammar not be compiled.
        UsageError: an option does not fit.
    """
    from grammars.errors import GrammarError

    if options.sample < 0:
        raise UsageError(f"--sample: {options.sample} is not >= 0")
    try:
        findings = _findings(options)
    except GrammarError as error:
        raise CommandError(f"{options.file}: {error}") from error
    if options.json:
        print(json.dumps(asdict(findings), ensure_ascii=False, indent=2))
    else:
        print(findings.report())
    return 0 if findings.explanation is None or findings.explanation.accepted else 1


def _findings(options: argparse.Namespace) -> Findings:
    from grammars import GrammarCompiler
    from grammars.engines.registry import DEFAULT, NAMES
    from grammars.sample import byte_vocabulary

    engine = options.engine or DEFAULT
    if engine not in NAMES:
        raise UsageError(f"--engine: {engine!r} is not one of {', '.join(NAMES)}")
    spec = _spec(Path(options.file), options)
    compiler = GrammarCompiler(byte_vocabulary(), engine=engine)
    compiler.warm()
    begin = time.perf_counter()
    grammar = compiler.compile(spec)
    compile_ms = (time.perf_counter() - begin) * 1e3
    samples = tuple(_sample(grammar, f"{options.seed}/{number}") for number in range(options.sample))
    explanation = None if options.explain is None else explain(grammar.matcher(), options.explain)
    kind, num_bytes = type(spec).__name__, grammar.num_bytes
    return Findings(options.file, kind, engine, compile_ms, num_bytes, grammar.warnings, samples, explanation)


def _spec(path: Path, options: argparse.Namespace) -> Spec:
    """The spec in a file, its kind told by the file's name."""
    from grammars.spec import Gbnf, Lark, Regex

    policies = {"whitespace": options.whitespace, "key_order": options.key_order}
    given: dict[str, Any] = {name: policy for name, policy in policies.items() if policy is not None}
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}") from error
    if path.suffix == ".json":
        return _schema(text, given)
    for name in given:
        raise UsageError(f"--{name.replace('_', '-')}: only a JSON schema has it, not {path.name}")
    match path.suffix:
        case ".lark":
            return Lark(text)
        case ".gbnf" | ".ebnf":
            return Gbnf(text)
        case ".regex" | ".txt":
            return Regex(text.removesuffix("\n"))
    raise UsageError(f"{path}: its name ends in none of {SUFFIXES}")


def _schema(text: str, policies: dict[str, Any]) -> Spec:
    from grammars.spec import JsonSchema, StructuralTag

    spec = JsonSchema.of(text, **policies)
    parsed = json.loads(text)
    is_tag = isinstance(parsed, dict) and parsed.get("type") == "structural_tag"
    return StructuralTag.of(parsed) if is_tag else spec


def _sample(grammar: Grammar, seed: str) -> str | None:
    from grammars.sample import byte_vocabulary, sample_text

    text = sample_text(grammar.matcher(), byte_vocabulary(), random.Random(seed))
    return None if text is None else text.decode(errors="replace")


def _shown(sample: str | None) -> str:
    """A sample on a line of its own; what it holds must not steer the terminal."""
    if sample is None:
        return "sample: (given up before the text came to an end)"
    plain = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in sample.replace("\n", "\\n"))
    return "sample: " + (plain if len(plain) <= SHOWN else plain[:SHOWN] + " …")
