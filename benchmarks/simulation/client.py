"""Clients: how the programs of a trace ask for what they need.

`sessions` do as this project's programs do: one session a program, held open until it ends, forked where it forks, with
what a compiled program tells of its future. `requests` do as programs before any other server do: every gen is a
request by itself, whose prompt is the whole text so far, and nothing is held or told between two of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast

from benchmarks.simulation.trace import Forks, Piece, Program, Turn
from runtime.hint import Hint
from runtime.program_run import ProgramRun
from runtime.session_state import SessionState

if TYPE_CHECKING:
    from benchmarks.simulation.simulator import Simulator

__all__ = ["CLIENTS", "Client", "Text"]

Steps: TypeAlias = Sequence[Turn | Forks]


class Text(SessionState):
    """A session whose tokens are an array: the tree packs those a hundred times faster than a list."""

    def __init__(self, program: str = "", run: ProgramRun | None = None) -> None:
        super().__init__("", program, run)
        self.adopt((), b"")

    def adopt(self, tokens: Sequence[int], origins: bytes) -> None:
        """Takes over another session's tokens."""
        super().adopt((), origins)
        self.tokens = cast("list[int]", array("i", tokens))


class Client:
    """One program on its way, by plain requests.

    Args:
        simulator: who computes it.
        program: what to ask for.
        arrival: when it came.
    """

    def __init__(self, simulator: Simulator, program: Program, arrival: float) -> None:
        self._simulator = simulator
        self._program = program
        self._arrival = arrival

    def begin(self) -> None:
        """The program arrives."""
        text = self._open()
        self._go_on(text, self._program.steps, 0, lambda: self._end(text))

    def _end(self, text: Text) -> None:
        self._close(text)
        simulator, program = self._simulator, self._program
        simulator.outcome.completed(program.kind, simulator.now - self._arrival, program.delay)

    def _go_on(self, text: Text, steps: Steps, place: int, then: Callable[[], None]) -> None:
        if place == len(steps):
            then()
            return
        step = steps[place]

        def go_on() -> None:
            self._go_on(text, steps, place + 1, then)

        def act() -> None:
            _append(text, step.prompt)
            if isinstance(step, Turn):
                self._ask(text, step, steps[place + 1 :], go_on)
            else:
                self._branch(text, step, steps[place:], go_on)

        if isinstance(step, Turn) and step.delay:
            self._simulator.at(self._simulator.now + step.delay, act)
        else:
            act()

    def _open(self) -> Text:
        return Text()

    def _close(self, text: Text) -> None:
        pass

    def _ask(self, text: Text, turn: Turn, following: Steps, then: Callable[[], None]) -> None:
        request = Text()
        self._simulator.sessions.take_up(request)
        request.adopt(text.tokens, b"")

        def ended() -> None:
            self._simulator.sessions.drop(request)
            _append(text, (turn.output,))
            then()

        self._simulator.submit(request, turn.output.tokens, turn.max_new_tokens, ended)

    def _branch(self, text: Text, forks: Forks, following: Steps, then: Callable[[], None]) -> None:
        left = len(forks.branches)

        def ended() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                then()

        for branch, child in zip(forks.branches, self._fork(text, left), strict=True):
            self._go_on(child, branch, 0, self._closing(child, ended))

    def _closing(self, text: Text, then: Callable[[], None]) -> Callable[[], None]:
        def close() -> None:
            self._close(text)
            then()

        return close

    def _fork(self, text: Text, count: int) -> Sequence[Text]:
        children = [Text() for _ in range(count)]
        for child in children:
            child.adopt(text.tokens, b"")
        return children


class SessionClient(Client):
    """One program on its way, by a session and its forks."""

    _gang = 0

    def _open(self) -> Text:
        session = Text(self._program.kind)
        self._simulator.sessions.take_up(session)
        return session

    def _close(self, text: Text) -> None:
        self._simulator.sessions.drop(text)

    def _ask(self, text: Text, turn: Turn, following: Steps, then: Callable[[], None]) -> None:
        self._foretell(text, following)
        self._simulator.submit(text, turn.output.tokens, turn.max_new_tokens, then)

    def _branch(self, text: Text, forks: Forks, following: Steps, then: Callable[[], None]) -> None:
        self._foretell(text, following)

        def fork() -> None:
            super(SessionClient, self)._branch(text, forks, following, then)

        if text.sequence is not None and text.sequence.kv_len >= len(text.tokens):
            fork()
        else:
            self._simulator.submit(text, (), 0, fork)

    def _fork(self, text: Text, count: int) -> Sequence[Text]:
        self._gang += 1
        children = [Text(text.program, text.run) for _ in range(count)]
        for child in children:
            self._simulator.sessions.fork(text, child)
            child.hint = Hint(gang=self._gang)
        return children

    def _foretell(self, session: SessionState, following: Steps) -> None:
        """What a compiled program tells; of a loop nobody knows when it ends."""
        if self._program.is_loop:
            session.hint = Hint(extends_again=True).over(session.hint)
            return
        calls, tokens = 0, 0
        for step in following:
            branches = [(step,)] if isinstance(step, Turn) else step.branches
            calls += max(map(len, branches))
            tokens += max(sum(turn.max_new_tokens for turn in branch) for branch in branches)
        known = Hint(remaining_calls=calls, remaining_tokens=tokens, extends_again=calls > 0)
        session.hint = known.over(session.hint)


def _append(text: Text, pieces: Sequence[Piece]) -> None:
    for piece in pieces:
        text.extend(piece.tokens)


CLIENTS: Mapping[str, type[Client]] = MappingProxyType({"requests": Client, "sessions": SessionClient})
