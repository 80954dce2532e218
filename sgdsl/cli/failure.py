"""Failure: what went wrong in a user's program, as one line with its place."""

from __future__ import annotations

import os
from pathlib import Path
from traceback import walk_tb

from grammars.errors import GrammarError
from runtime.errors import EngineError
from sgdsl.errors import ProgramError, SgdslError, TraceError
from sgdsl.source import Source, is_program

__all__ = ["one_line"]

MAX_REASON = 400
OURS = (SgdslError, EngineError, GrammarError)
"""Errors whose message says everything; of others the type is named too."""


def one_line(error: BaseException, program: Path) -> str:
    """`file:line in function: reason`, the place being the innermost one in the program's own folder."""
    source = _place(error, program)
    reason = _reason(error)
    return f"{reason}" if source is None else f"{_written(source.file)}:{source.line} in {source.function}: {reason}"


def _place(error: BaseException, program: Path) -> Source | None:
    folder = str(program.resolve().parent) + os.sep
    found = error.source if isinstance(error, ProgramError | TraceError) else None
    if found is not None and _is_below(folder, found.file):
        return found
    cause = error.__cause__ if isinstance(error, ProgramError) and error.__cause__ is not None else error
    for frame, line in walk_tb(cause.__traceback__):
        if _is_below(folder, frame.f_code.co_filename):
            found = Source(frame.f_code.co_filename, line, frame.f_code.co_name)
    return found


def _is_below(folder: str, file: str) -> bool:
    """Whether a file lies in a folder, as the user's own."""
    return os.path.abspath(file).startswith(folder) and is_program(file)


def _reason(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, ProgramError | TraceError) and error.source is not None:
        text = text.removeprefix(f"{error.source}: ")
    is_message = isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and " " in error.args[0]
    if is_message:  # which KeyError would show in quotes, as if it were a key
        text = error.args[0]
    text = " ".join(text.split())
    if len(text) > MAX_REASON:
        text = text[:MAX_REASON] + " …"
    if is_message or isinstance(error, OURS):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _written(file: str) -> str:
    """A path as short as it can be said from here."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
