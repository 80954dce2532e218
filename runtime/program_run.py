"""ProgramRun: what the requests of one run of a program share, so that they can be scheduled as one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ProgramRun"]


@dataclass(eq=False, slots=True)
class ProgramRun:
    """A session with all its forks.

    Attributes:
        program: its name; "" where it has none.
        arrival: its place in the order in which runs came to the scheduler; -1 before its first request.
        num_started: requests of it that were given a place so far.
    """

    program: str = ""
    arrival: int = -1
    num_started: int = 0
