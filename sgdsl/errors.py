"""What can go wrong in `sgdsl`.

SgdslError
├── InvalidArgument           an argument of the language has a value that is not allowed (also a ValueError)
├── NotSupported              valid, but nothing here can do it
│   └── BackendCapabilityError  this backend cannot do it; names node and backend
├── TraceError                a program cannot be made a graph of; names the line
├── CheckFailed               a graph would fail whatever the model says; names every place
├── EndpointError             a server cannot be reached, refuses us, or went away (also a ConnectionError)
├── WouldBlock                an `async def` program read a value before it was there; the hint says how to await it
├── ProgramEnded              something was appended to a state whose program is over
└── ProgramError              a program failed; `__cause__` is the original error, the message names file and line
    ├── ProgramTimeout        it took longer than its `timeout` (also a TimeoutError)
    └── ProgramCancelled      it was cancelled, or the state was dropped

KeyboardInterrupt
└── BatchInterrupted          Ctrl-C in a `run_batch`; `results` holds what was finished
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgdsl.passes.finding import Finding
    from sgdsl.source import Source
    from sgdsl.state import ProgramState

__all__ = [
    "BackendCapabilityError",
    "BatchInterrupted",
    "CheckFailed",
    "EndpointError",
    "InvalidArgument",
    "NotSupported",
    "ProgramCancelled",
    "ProgramEnded",
    "ProgramError",
    "ProgramTimeout",
    "SgdslError",
    "TraceError",
    "WouldBlock",
]


class SgdslError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidArgument(SgdslError, ValueError):
    """An argument has a value that is not allowed; the message names it, the value, and what is allowed."""


class NotSupported(SgdslError):
    """Something valid that nothing here can do yet."""


class BackendCapabilityError(NotSupported):
    """The backend cannot do what an instruction asks.

    Args:
        what: the instruction or parameter.
        backend: the backend's name.
        reason: one clause more, where it helps.
    """

    def __init__(self, what: str, backend: str, reason: str = "") -> None:
        super().__init__(f"{what} is not something the {backend} backend can do" + (f": {reason}" if reason else ""))
        self.what = what
        self.backend = backend


class TraceError(SgdslError):
    """A program does something that only its run can decide, where a graph of it is to be made.

    Args:
        message: what it does.
        source: the line that does it.
        hint: what can be done about it.

    Attributes:
        reason: the message with its place, without the hint.
    """

    def __init__(self, message: str, source: Source | None = None, hint: str = "") -> None:
        self.reason = f"{source}: {message}" if source is not None else message
        super().__init__(f"{self.reason}; {hint}" if hint else self.reason)
        self.source = source


class CheckFailed(SgdslError):
    """A graph cannot run through, whatever the model writes.

    Args:
        findings: everything that is wrong with it.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class EndpointError(SgdslError, ConnectionError):
    """A server cannot be reached, refuses the connection, says what makes no sense, or went away.

    Sessions end with their connection; a new session connects anew.
    """


class WouldBlock(SgdslError, RuntimeError):
    """A read in an `async def` program of something that is not there yet."""


class ProgramEnded(SgdslError, RuntimeError):
    """The program this state belongs to is over; nothing can be appended any more."""


class ProgramError(SgdslError):
    """A program failed. `__cause__` is the original error.

    Args:
        message: what failed, and why.
        source: the place in the program that asked for it, when there is one.
    """

    def __init__(self, message: str, source: Source | None = None) -> None:
        super().__init__(f"{source}: {message}" if source is not None else message)
        self.source = source


class ProgramTimeout(ProgramError, TimeoutError):
    """A program, or one gen of it, took longer than its `timeout`."""


class ProgramCancelled(ProgramError):
    """The program was cancelled."""


class BatchInterrupted(KeyboardInterrupt):
    """Ctrl-C in a batch.

    Attributes:
        results: one entry per item, in input order: its state, its exception, or None where it was not finished.
    """

    def __init__(self, results: Sequence[ProgramState | BaseException | None]) -> None:
        done = sum(result is not None for result in results)
        super().__init__(f"interrupted with {done} of {len(results)} items finished")
        self.results = list(results)
