"""ProgramRunner: what the server needs of whoever runs graphs.

A graph is interpreted by the language, which stands above the runtime; so the server is handed a runner by whoever
starts it, and does without `/programs` where it is handed none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["ProgramLimits", "ProgramOrder", "ProgramRun", "ProgramRunner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLimits:
    """Bounds on a program from outside.

    Attributes:
        max_bytes: of the graph, as JSON. max_nodes: instructions, those of graphs inside it counted.
        max_streams: lines of execution. max_depth: graphs inside graphs. max_seconds: for all of it.
    """

    max_bytes: int = 4 << 20
    max_nodes: int = 10_000
    max_streams: int = 1024
    max_depth: int = 8
    max_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOrder:
    """A program to run.

    Attributes:
        graph: as JSON text, as `sgdsl trace --graph FILE.json` writes it.
        arguments: of the program, by name. sampling: defaults for its gens.
        namespace: whose cache it uses. timeout: seconds for all of it.
    """

    graph: str
    arguments: Mapping[str, Any]
    sampling: Mapping[str, Any]
    namespace: str = ""
    timeout: float = 600.0


class ProgramRun(Protocol):
    """A program that runs. Whoever lets it go cancels it first."""

    @property
    def name(self) -> str:
        """The program's name."""

    def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """What happens, in the order of the text: an object each, with `event` and what belongs to it.

        Raises:
            ApiError: the program failed.
        """

    async def result(self) -> Mapping[str, Any]:
        """Waits for the end: `value`, `variables`, `text`, `messages` and `usage`.

        Raises:
            ApiError: the program failed.
        """

    def cancel(self) -> None:
        """Ends it at once; safe to call when it is over."""


class ProgramRunner(Protocol):
    """Runs graphs on the server's engine."""

    def check(self, order: ProgramOrder, limits: ProgramLimits) -> Any:
        """What `start` needs of an order. Takes long and touches nothing: it is called in a thread.

        Raises:
            ApiError: the graph is none, too large, or does what a program from outside may not.
        """

    def start(self, checked: Any) -> ProgramRun:
        """Starts what `check` gave, on the loop that runs.

        Raises:
            ApiError: arguments that do not fit.
        """
