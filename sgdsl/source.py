"""Source: the place in a user's program that an instruction comes from."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import TracebackType

__all__ = ["Source", "caller", "raised_at"]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PLUMBING = (os.path.dirname(os.__file__) + os.sep + "contextlib.py",)


@dataclass(frozen=True, slots=True)
class Source:
    """File, line and function of a program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line} in {self.function}"


def _foreign(file: str) -> bool:
    return not file.startswith(_PACKAGE) and file not in _PLUMBING


def caller() -> Source | None:
    """The innermost frame outside this package; None when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if _foreign(code.co_filename):
            return Source(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def raised_at(traceback: TracebackType | None) -> Source | None:
    """The innermost frame outside this package that a traceback passed through."""
    found = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if _foreign(code.co_filename):
            found = Source(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next
    return found
