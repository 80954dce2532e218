"""Graph: `sgdsl trace PROGRAM` and `sgdsl run --dry-run`: a program as a graph, shown or drawn, and nothing run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdsl.chat import CHATML
from sgdsl.cli.arguments import Arguments
from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.program_file import ProgramFile
from sgdsl.cli.report import counted
from sgdsl.errors import InvalidArgument, NotSupported
from sgdsl.ir import Graph
from sgdsl.passes.check import check
from sgdsl.passes.estimate import Estimate, estimate
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.finding import Finding
from sgdsl.passes.merge_text import merge_text
from sgdsl.passes.parallel import parallel
from sgdsl.program import Program
from sgdsl.tracer import trace

__all__ = ["dry_run", "trace_program"]

SUFFIXES = (".dot", ".gv", ".json", ".mmd", ".svg", ".txt")
SECONDS_TO_DRAW = 60


def trace_program(options: argparse.Namespace) -> int:
    """Shows a program's graph, or writes it to `options.graph`; arguments that are not given stay open.

    Raises:
        CommandError: it cannot be traced or written.
    """
    program = _program(Path(options.program), options.rest)
    graph = _traced(program, Arguments.of(program).given_values(options.rest))
    if options.graph is None:
        print(graph)
    else:
        _write(graph, Path(options.graph))
    return _tell(check(graph))


def dry_run(program: Program, args: Sequence[Any], kwargs: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Prints what a run would do, and about what it would cost.

    Raises:
        CommandError: it cannot be traced.
    """
    named = {**dict(zip(program.signature.parameters, args, strict=False)), **kwargs}
    graph = merge_text(_traced(program, named))
    if graph.stopped is None:
        graph = parallel(graph)
    expanded = expand_roles(graph, CHATML)
    cost = estimate(expanded)
    findings = check(graph)
    if options.json:
        entry = {"graph": _as_json(graph), "estimate": dataclasses.asdict(cost), "findings": list(map(str, findings))}
        print(json.dumps(entry, ensure_ascii=False, indent=2))
    else:
        print(graph)
        print("\n" + _estimated(cost, is_whole=graph.stopped is None))
    return _tell(findings)


def _program(path: Path, words: Sequence[str]) -> Program:
    program = ProgramFile.load(path, words).program
    if program is None:
        raise UsageError(f"{path} is a script: a graph is made of a @function")
    return program


def _traced(program: Program, values: Mapping[str, Any]) -> Graph:
    try:
        return trace(program, values, partial=True)
    except (InvalidArgument, TypeError) as error:
        raise CommandError(f"{program.name}: {error}") from error


def _write(graph: Graph, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--graph {path}: the name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        path.write_text(_drawn(graph, suffix), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


def _drawn(graph: Graph, suffix: str) -> str:
    if suffix in (".dot", ".gv"):
        return graph.to_dot()
    if suffix == ".mmd":
        return graph.to_mermaid()
    if suffix == ".svg":
        return _svg(graph.to_dot())
    return _as_text(graph, suffix) + "\n"


def _as_text(graph: Graph, suffix: str) -> str:
    if suffix == ".txt":
        return str(graph)
    try:
        return graph.to_json(indent=2)
    except NotSupported as error:
        raise CommandError(str(error)) from error


def _as_json(graph: Graph) -> Any:
    return json.loads(_as_text(graph, ".json"))


def _svg(dot: str) -> str:
    command = shutil.which("dot")
    if command is None:
        raise CommandError("an .svg is drawn by Graphviz, whose `dot` is not installed; .mmd and .dot need nothing")
    drawn = subprocess.run(
        [command, "-Tsvg"], input=dot, capture_output=True, text=True, timeout=SECONDS_TO_DRAW, check=False
    )
    if drawn.returncode != 0:
        raise CommandError(f"dot: {drawn.stderr.strip()}")
    return drawn.stdout


def _estimated(cost: Estimate, *, is_whole: bool) -> str:
    saved = cost.prompt_tokens - cost.computed_tokens
    share = f", {saved / cost.prompt_tokens:.0%} less than without a cache" if saved > 0 else ""
    rows = [
        ("calls", _calls(cost)),
        ("streams", f"{cost.streams}, in {counted(cost.rounds, 'round')}"),
        ("prompt", f"about {cost.computed_tokens} tokens to compute{share}"),
        ("prefix", f"about {cost.prefix_tokens} tokens that every run begins with"),
        ("generated", f"at most {cost.generated_tokens} tokens"),
    ]
    note = "" if is_whole else "\nThis is the beginning: from the last line on, it depends on what the model writes."
    return "\n".join(f"{name:<10} {text}" for name, text in rows) + note


def _calls(cost: Estimate) -> str:
    kinds = ((cost.gens, "gen"), (cost.selects, "select"), (cost.programs, "program"))
    return ", ".join(counted(number, noun) for number, noun in kinds if number) or "none"


def _tell(findings: Sequence[Finding]) -> int:
    """What the checks say, on stderr; 1 where the program could not run through."""
    for finding in findings:
        print(f"sgdsl: {finding.severity}: {finding}", file=sys.stderr)
    return int(any(finding.severity == "error" for finding in findings))
