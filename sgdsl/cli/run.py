"""Run: `sgdsl run`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from sgdsl.cli import logs
from sgdsl.cli.arguments import Arguments
from sgdsl.cli.backend import started
from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.failure import one_line
from sgdsl.cli.load import check_load, load
from sgdsl.cli.meter import Meter
from sgdsl.cli.printer import EventPrinter, Printer, TextPrinter, Transcript, wants_colour
from sgdsl.cli.program_file import ProgramFile
from sgdsl.cli.report import closing_line, result
from sgdsl.cli.settings import engine_settings
from sgdsl.errors import InvalidArgument, ProgramError
from sgdsl.execution import perform
from sgdsl.process import set_default_backend
from sgdsl.program import Program
from sgdsl.record.sink import Sink, sink_of
from sgdsl.run import Run
from sgdsl.running import RunningState
from sgdsl.sampling import Sampling
from sgdsl.state import ProgramState

__all__ = ["run"]

INTERRUPTED = 130


def run(options: argparse.Namespace) -> int:
    """Runs a program; returns the exit code.

    Raises:
        CommandError: it cannot be run at all.
    """
    check_load(options)
    settings = engine_settings(options.model, options.settings, options.config)
    logs.set_up(verbose=options.verbose, quiet=options.quiet)
    path = Path(options.program)
    try:
        return _run_file(path, settings, options)
    except SystemExit as stop:
        return _exit_code(stop)
    except (CommandError, BrokenPipeError):
        raise
    except Exception as error:  # whatever the user's own code raised
        return _failed(error, path, options)


def _run_file(path: Path, settings: dict[str, Any], options: argparse.Namespace) -> int:
    file = ProgramFile.load(path, options.rest)
    program = file.program
    if options.dry_run and options.record is not None:
        raise UsageError("--dry-run runs nothing: there is nothing to --record")
    if program is None and options.dry_run:
        raise UsageError(f"{path} is a script: --dry-run needs a @function")
    if program is None:
        return _run_script(file, settings, options)
    arguments = Arguments.of(program)
    if any(word in ("-h", "--help") for word in options.rest):
        print(arguments.help(program, str(path)))
        return 0
    args, kwargs = arguments.bind(options.rest)
    if options.dry_run:
        from sgdsl.cli.graph import dry_run

        return dry_run(program, args, kwargs, options)
    with started(options.backend, settings) as (backend, line):
        _say(options, line)
        set_default_backend(backend)
        if options.num_programs is not None:
            return load(program, backend, args, kwargs, path, options)
        return _Execution(program, backend, path, options).run(args, kwargs)


def _run_script(file: ProgramFile, settings: dict[str, Any], options: argparse.Namespace) -> int:
    if options.json or options.events or options.num_programs is not None:
        raise UsageError(
            f"{file.path} is run as a script, which prints what it likes: --json, --events and --num-programs need a "
            "@function"
        )
    if options.record is not None:
        raise UsageError(f"{file.path} is run as a script: --record needs a @function")
    if options.otel:
        raise UsageError(f"{file.path} is run as a script: --otel needs a @function")
    with started(options.backend, settings) as (backend, line):
        _say(options, line)
        set_default_backend(backend)
        begun = time.monotonic()
        try:
            file.run_script()
        finally:
            sys.stdout.flush()
            _say(options, closing_line(backend.usage(), time.monotonic() - begun))
    return 0


def _sink(options: argparse.Namespace) -> Sink | None:
    """Where what happens is recorded."""
    if options.otel and options.record is not None:
        raise UsageError("--record and --otel are given together: one is allowed")
    try:
        if not options.otel:
            return sink_of(options.record)
        from sgdsl.tracing import Spans

        return Spans()
    except InvalidArgument as error:
        raise CommandError(f"{'--otel' if options.otel else '--record'}: {error}") from error


class _Execution:
    """One run of a program in this thread, while another one prints what comes of it."""

    def __init__(self, program: Program, backend: Meter, path: Path, options: argparse.Namespace) -> None:
        self._program = program
        self._backend = backend
        self._path = path
        self._options = options
        self._out = sys.stdout
        self._printer = _printer(options)
        self._trouble: Exception | None = None
        self._sink = _sink(options)

    def run(self, args: list[Any], kwargs: dict[str, Any]) -> int:
        """Runs it, prints what is left to print, and returns the exit code."""
        begun = time.monotonic()
        run = self._program.start(self._backend, Sampling.of({}), self._sink)
        state = RunningState(run)
        printing = threading.Thread(target=self._print, args=(state, run), name="sgdsl-printer", daemon=True)
        printing.start()
        error: BaseException | None = None
        try:
            with self._stdout_kept_clean():
                perform(self._program, run, args, kwargs, None)
        except (Exception, KeyboardInterrupt, SystemExit) as raised:
            error = raised
        printing.join()
        if self._trouble is not None:
            raise self._trouble
        return self._conclude(state, error, time.monotonic() - begun)

    def _print(self, state: ProgramState, run: Run) -> None:
        """Prints until the program has ended; its failure is told elsewhere."""
        try:
            for event in state.events():
                self._printer.show(event)
        except ProgramError:
            return
        except Exception as trouble:  # the output cannot be written, so nothing is worth going on for
            self._trouble = trouble
            run.cancel()

    def _conclude(self, state: ProgramState, error: BaseException | None, seconds: float) -> int:
        if error is None:
            self._printer.end(state.ret_value)
        self._printer.close()
        code, reason = self._verdict(error)
        usage = self._backend.usage()
        if isinstance(self._printer, Transcript):
            entry = result(state, self._printer.text, usage, seconds, reason)
            print(json.dumps(entry, ensure_ascii=False, indent=2), file=self._out, flush=True)
        if reason is not None:
            print(f"sgdsl: {reason}", file=sys.stderr)
        _say(self._options, closing_line(usage, seconds))
        return code

    def _verdict(self, error: BaseException | None) -> tuple[int, str | None]:
        """Exit code, and what to say."""
        if error is None:
            return 0, None
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED, f"interrupted{f': {error}' if str(error) else ''}"
        if isinstance(error, SystemExit):
            return _exit_code(error), None
        if self._options.verbose:
            traceback.print_exception(error)
        return 1, one_line(error, self._path)

    def _stdout_kept_clean(self) -> contextlib.AbstractContextManager[Any]:
        """Where stdout is promised to JSON, a program's own prints go to stderr."""
        is_promised = self._options.json or self._options.events
        return contextlib.redirect_stdout(sys.stderr) if is_promised else contextlib.nullcontext()


def _printer(options: argparse.Namespace) -> Printer:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character is no reason to fail
    if options.events:
        return EventPrinter(sys.stdout)
    return Transcript() if options.json else TextPrinter(sys.stdout, colour=wants_colour(sys.stdout))


def _failed(error: Exception, path: Path, options: argparse.Namespace) -> int:
    if options.verbose:
        traceback.print_exception(error)
    print(f"sgdsl: {one_line(error, path)}", file=sys.stderr)
    return 1


def _exit_code(stop: SystemExit) -> int:
    """What Python itself would make of it."""
    if isinstance(stop.code, str):
        print(stop.code, file=sys.stderr)
        return 1
    return stop.code or 0


def _say(options: argparse.Namespace, line: str) -> None:
    """One line about the run, on stderr."""
    if not options.quiet:
        print(f"sgdsl: {line}", file=sys.stderr, flush=True)
