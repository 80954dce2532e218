"""Source: the place in a user's program that an instruction comes from."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import TracebackType

__all__ = ["Source", "caller", "is_program", "raised_at", "reader"]

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PACKAGES = tuple(_HOME + package + os.sep for package in ("sgdsl", "runtime", "grammars"))
_LIBRARIES = os.path.dirname(os.__file__) + os.sep
_PLUMBING = _LIBRARIES + "contextlib.py"


@dataclass(frozen=True, slots=True)
class Source:
    """File, line and function of a program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line} in {self.function}"


def _is_foreign(file: str) -> bool:
    """Whether the code is none of ours; `with s.user():` passes through `contextlib`."""
    return not file.startswith(_PACKAGES) and file != _PLUMBING


def is_program(file: str) -> bool:
    """Whether the code is a user's own: neither a library's nor made up at run time, as a dataclass's `__init__` is."""
    return _is_foreign(file) and not file.startswith((_LIBRARIES, "<")) and "site-packages" not in file


def caller() -> Source | None:
    """The innermost frame outside this package; None when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if _is_foreign(code.co_filename):
            return Source(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def reader() -> Source | None:
    """The innermost frame of a user's own code, or else of anybody else's but ours."""
    frame, found = sys._getframe(1), None
    while frame is not None:
        code = frame.f_code
        if is_program(code.co_filename):
            return Source(code.co_filename, frame.f_lineno, code.co_name)
        if found is None and _is_foreign(code.co_filename):
            found = Source(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return found


def raised_at(traceback: TracebackType | None) -> Source | None:
    """The innermost frame of a user's own code that a traceback passed through, or else of anybody else's but ours."""
    found: Source | None = None
    found_own = False
    while traceback is not None:
        code = traceback.tb_frame.f_code
        own = is_program(code.co_filename)
        if own or (not found_own and _is_foreign(code.co_filename)):
            found, found_own = Source(code.co_filename, traceback.tb_lineno, code.co_name), own
        traceback = traceback.tb_next
    return found
