"""CopiedState: a fork of its own that hands back what it has come to."""

from __future__ import annotations

from sgdsl.joining import join
from sgdsl.state import ProgramState
from sgdsl.stream import Stream

__all__ = ["CopiedState"]


class CopiedState(ProgramState):
    """A state made by `copy`. `with s.copy() as c:` hands c's new names back to `s`, as single values."""

    def __init__(self, parent: ProgramState, stream: Stream) -> None:
        super().__init__(stream)
        self._parent = parent

    def __enter__(self) -> CopiedState:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            join(self._parent._stream, [self._stream], single=True)
