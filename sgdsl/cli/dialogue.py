"""Dialogue: one conversation in one session that grows, so that nothing said before is computed again.

It knows nothing of the terminal. A history that is put in its place (after an answer was stopped, or loaded) is text
again, and what of it the backend has read before is found in its prefix cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from sgdsl.errors import ProgramError
from sgdsl.primitives import gen
from sgdsl.process import loop
from sgdsl.roles import assistant_begin, assistant_end, message
from sgdsl.run import Run
from sgdsl.sampling import Sampling
from sgdsl.state import Checkpoint, ProgramState

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend

__all__ = ["ROLES", "Dialogue", "Message"]

Message: TypeAlias = dict[str, str]
ROLES = ("system", "user", "assistant")
ANSWER = "answer"


class Dialogue:
    """A conversation with a model.

    Args:
        backend: where it runs.
        sampling: how answers are written.

    Attributes:
        messages: what was said, as {role, content}.
    """

    def __init__(self, backend: Backend, sampling: Sampling) -> None:
        self._backend = backend
        self._sampling = sampling
        self.messages: list[Message] = []
        self._begin([])

    def replace(self, messages: Sequence[Message]) -> None:
        """Puts another history in the place of this one.

        Raises:
            InvalidArgument: the chat template does not take messages in this order; the history stays as it was.
        """
        before = self._run
        self._begin(messages)
        _end(before)

    def _begin(self, messages: Sequence[Message]) -> None:
        run = Run("chat", self._backend, loop(), self._sampling)
        state, points = ProgramState(run.main), []
        try:
            for one in messages:
                if one["role"] == "user":
                    points.append(self._point(state))
                state += message(one["role"], one["content"])
        except BaseException:
            _end(run)
            raise
        self._run, self._state, self._points = run, state, points
        self.messages = list(messages)

    def _point(self, state: ProgramState) -> Checkpoint | None:
        return state.checkpoint() if self._backend.capabilities.tokens else None

    def ask(self, text: str, show: Callable[[str], None], schema: object = None) -> dict[str, Any]:
        """Says `text` and passes the answer's pieces to `show` as they come; returns what is known of the answer.

        After Ctrl-C the answer is what there is of it; after anything else that goes wrong nothing was said.

        Args:
            schema: a JSON schema the answer is held to.

        Raises:
            ProgramError: the backend failed, or the context has no room left.
        """
        said, written = {"role": "user", "content": text}, ""
        history = list(self.messages)
        try:
            self._points.append(self._point(self._state))
            self._state += message("user", text) + assistant_begin() + gen(ANSWER, json_schema=schema)  # type: ignore[arg-type]
            for piece in self._state.text_iter(ANSWER):
                written += piece
                show(piece)
            self._state += assistant_end()
        except KeyboardInterrupt:
            self.replace([*history, said, {"role": "assistant", "content": written}] if written else history)
            raise
        except BaseException:
            self.replace(history)
            raise
        self.messages = [*history, said, {"role": "assistant", "content": written}]
        return dict(self._state.get_meta_info(ANSWER))

    def undo(self) -> bool:
        """Takes the last question back, and what was said since; False when there is none."""
        if not self._points:
            return False
        asked = max(index for index, one in enumerate(self.messages) if one["role"] == "user")
        point = self._points.pop()
        if point is None:
            self.replace(self.messages[:asked])
        else:
            self._state.rollback(point)
            self.messages = self.messages[:asked]
        return True

    def close(self) -> None:
        """Gives the session up."""
        _end(self._run)


def _end(run: Run) -> None:
    with suppress(ProgramError):
        run.cancel()
    run.close()
