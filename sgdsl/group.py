"""ProgramStateGroup: the states a fork made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sgdsl.concatenation import join_and_append
from sgdsl.errors import InvalidArgument
from sgdsl.joining import join
from sgdsl.primitives import Expr, expression
from sgdsl.source import caller

if TYPE_CHECKING:
    from sgdsl.state import ProgramState

__all__ = ["ProgramStateGroup"]

SGLANG_SPELLING = {"concate_and_append": "concat_and_append"}
MODES = ("gather_variable", "concat_and_append", "none")


class ProgramStateGroup:
    """The forks of one state, in order. `with s.fork(n) as g:` joins them on exit."""

    def __init__(self, parent: ProgramState, states: Sequence[ProgramState]) -> None:
        self._parent = parent
        self._states = list(states)

    def __len__(self) -> int:
        return len(self._states)

    def __getitem__(self, index: int) -> ProgramState:
        return self._states[index]

    def __setitem__(self, index: int, state: ProgramState) -> None:
        if self._states[index] is not state:  # what `g[i] += expr` assigns is the state itself
            raise InvalidArgument("a fork cannot be replaced by another state")

    def __iter__(self) -> Iterator[ProgramState]:
        return iter(self._states)

    def __iadd__(
        self, other: Expr | str | Iterable[Expr | str] | Callable[[int], Expr | str]
    ) -> ProgramStateGroup:  # fmt: skip
        if isinstance(other, Expr | str):  # first: what a trace has in a string's place may be asked for nothing else
            parts = [expression(other)] * len(self)
        elif callable(other):
            parts = [expression(other(index)) for index in range(len(self))]
        elif isinstance(other, Iterable) and not isinstance(other, Mapping):
            parts = [expression(part) for part in other]
        else:
            raise TypeError(
                f"an expression, one for each fork, or a function of its index is needed, not {type(other).__name__}"
            )
        if len(parts) != len(self):
            raise InvalidArgument(f"{len(parts)} expressions for {len(self)} forks")
        for state, part in zip(self._states, parts, strict=True):
            state += part
        return self

    def join(self, mode: str = "gather_variable", *, return_exceptions: bool = False) -> None:
        """Hands each new name of the forks back to the state they came from, as the list of their values.

        What was recorded is handed over, and nobody waits: the names can be read at once, and reading waits. A fork's
        failure becomes the state's own and ends the other forks; with `return_exceptions` it stands in the lists
        instead.

        With "concat_and_append" what the forks wrote is appended to the state's text too, one after the other, with
        the KV it has: each part has attended to the common beginning and itself, and not to the parts before it.
        The meta of the names handed back says so: `"attention_recomputed": False`.

        Args:
            mode: "gather_variable", "concat_and_append", or "none" to hand nothing back.

        Raises:
            InvalidArgument: an unknown mode, `return_exceptions` where every fork is needed, or a fork that stands
                inside a chat message while the state stands outside, or the other way round.
            ProgramError: a fork has failed already.
            BackendCapabilityError: the backend cannot concatenate.
        """
        mode = SGLANG_SPELLING.get(mode, mode)
        if mode not in MODES:
            raise InvalidArgument(f"mode={mode!r} is not allowed: one of {', '.join(MODES)}")
        streams = [state._stream for state in self._states]
        if mode == "concat_and_append":
            if return_exceptions:
                raise InvalidArgument(
                    "return_exceptions=True is not allowed with concat_and_append: it needs every text"
                )
            join_and_append(self._parent._stream, streams, caller())
        else:
            hand_back = mode == "gather_variable"
            join(self._parent._stream, streams, hand_back=hand_back, return_exceptions=return_exceptions)
        self._parent._stream.run.flush()

    def __enter__(self) -> ProgramStateGroup:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.join()
