"""Run: one program of a trace, on its way through the simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmarks.simulation.trace import Forks, Piece, Program, Turn
from runtime.hint import Hint
from runtime.session_state import SessionState

if TYPE_CHECKING:
    from benchmarks.simulation.simulator import Simulator

__all__ = ["Run"]


class Run:
    """Asks for what its program asks for, when it would; forks as the engine's sessions do.

    Args:
        simulator: who computes it.
        program: what to ask for.
        arrival: when it came.
    """

    def __init__(self, simulator: Simulator, program: Program, arrival: float) -> None:
        self._simulator = simulator
        self._program = program
        self._arrival = arrival
        self._gang = 0

    def begin(self) -> None:
        """The program arrives."""
        session = SessionState("", self._program.kind)
        self._simulator.sessions.take_up(session)
        self._go_on(session, self._program.steps, 0, self._end)

    def _end(self, session: SessionState) -> None:
        simulator = self._simulator
        simulator.sessions.drop(session)
        simulator.outcome.completed(self._program.kind, simulator.now - self._arrival, self._program.delay)

    def _go_on(
        self,
        session: SessionState,
        steps: Sequence[Turn | Forks],
        place: int,
        then: Callable[[SessionState], None],
    ) -> None:
        if place == len(steps):
            then(session)
            return
        step, following = steps[place], steps[place + 1 :]

        def go_on() -> None:
            self._go_on(session, steps, place + 1, then)

        if isinstance(step, Forks):
            self._append(session, step.prompt)
            self._foretell(session, steps[place:])
            self._prefill(session, lambda: self._fork(session, step, go_on))
        elif step.delay:
            simulator = self._simulator
            simulator.at(simulator.now + step.delay, lambda: self._ask(session, step, following, go_on))
        else:
            self._ask(session, step, following, go_on)

    def _ask(
        self, session: SessionState, turn: Turn, following: Sequence[Turn | Forks], then: Callable[[], None]
    ) -> None:
        self._append(session, turn.prompt)
        self._foretell(session, following)
        self._simulator.submit(session, turn.output.tokens, turn.max_new_tokens, then)

    def _foretell(self, session: SessionState, following: Sequence[Turn | Forks]) -> None:
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

    def _prefill(self, session: SessionState, then: Callable[[], None]) -> None:
        if session.sequence is not None and session.sequence.kv_len >= len(session.tokens):
            then()
        else:
            self._simulator.submit(session, (), 0, then)

    def _fork(self, session: SessionState, forks: Forks, then: Callable[[], None]) -> None:
        left = len(forks.branches)
        self._gang += 1

        def joined(child: SessionState) -> None:
            nonlocal left
            self._simulator.sessions.drop(child)
            left -= 1
            if left == 0:
                then()

        for branch in forks.branches:
            child = SessionState(session.namespace, session.program, session.run)
            self._simulator.sessions.fork(session, child)
            child.hint = Hint(gang=self._gang)
            self._go_on(child, branch, 0, joined)

    @staticmethod
    def _append(session: SessionState, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            session.extend(piece.tokens)
