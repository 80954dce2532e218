"""Trace: `sgdsl trace`: a record as a tree, as a page, as a trace for Perfetto, or in figures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sgdsl.cli.errors import CommandError, UsageError

if TYPE_CHECKING:
    from sgdsl.record.history import History
    from sgdsl.record.reader import Record

__all__ = ["trace"]

PIPED_WIDTH = 160
"""Columns where nobody says how many there are."""


def trace(options: argparse.Namespace) -> int:
    """Shows a record, or a program's graph; returns the exit code.

    Raises:
        CommandError: the file is no record, or cannot be read or written.
    """
    if not options.program.endswith(".jsonl"):
        return _trace_program(options)
    if options.graph is not None or options.rest:
        raise UsageError(f"{options.program} is a record: --graph and words after -- are for programs")
    record = _read(options.program)
    from sgdsl.record.history import History

    history = History(record.entries)
    if record.cut_off_at is not None:
        print(f"sgdsl: {options.program}: cut off in line {record.cut_off_at}, read up to there", file=sys.stderr)
    if options.html is not None:
        from sgdsl.record.page import page

        _write(options.html, page(history))
    elif options.perfetto is not None:
        from sgdsl.record.perfetto import perfetto

        _write(options.perfetto, json.dumps(perfetto(history)))
    elif options.json:
        _print_totals(history, record)
    else:
        _print_tree(history)
    return 0


def _trace_program(options: argparse.Namespace) -> int:
    for name in ("html", "perfetto", "json"):
        if getattr(options, name):
            raise UsageError(f"--{name} shows a record, whose name ends in .jsonl, not {options.program}")
    from sgdsl.cli.graph import trace_program

    return trace_program(options)


def _read(path: str) -> Record:
    from sgdsl.errors import InvalidArgument
    from sgdsl.record.reader import read

    try:
        return read(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except InvalidArgument as error:
        raise CommandError(str(error)) from error


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _print_totals(history: History, record: Record) -> None:
    from sgdsl.record.summary import Summary

    totals = Summary.of(history).as_dict() | {"cut_off_at": record.cut_off_at}
    print(json.dumps(totals, indent=2))


def _print_tree(history: History) -> None:
    from rich.console import Console

    from sgdsl.cli.printer import wants_colour
    from sgdsl.record.outline import outline

    colour = wants_colour(sys.stdout)
    console = Console(
        file=sys.stdout, no_color=not colour, force_terminal=colour, highlight=False, emoji=False, markup=False,
        width=None if sys.stdout.isatty() else PIPED_WIDTH, soft_wrap=False,
    )  # fmt: skip
    console.print(outline(history), no_wrap=True, overflow="ellipsis")
