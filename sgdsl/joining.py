"""Joining: forks' names become names of the stream they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.handle import Handle
from sgdsl.errors import InvalidArgument
from sgdsl.ir import Join
from sgdsl.outcome import Outcome, gathered
from sgdsl.source import Source, caller
from sgdsl.stream import Stream

__all__ = ["join", "tie"]


def join(
    parent: Stream, children: Sequence[Stream], *, hand_back: bool = True, single: bool = False,
    return_exceptions: bool = False, source: Source | None = None, appended: bool = False,
) -> None:  # fmt: skip
    """Ties the children's fate to the parent's, and hands back what they have bound since the fork or last join.

    It does not wait: the parent's names stand for values still in the making.

    Args:
        hand_back: the parent gets the children's names at all.
        single: there is one child, and its values come back as they are instead of as lists.
        return_exceptions: a failed child's values are its error, and nobody else fails.
        source: the program line that asks for it; the caller's, where none is given.
        appended: what the children wrote is concatenated too: the meta of their names says what that leaves out.

    Raises:
        ProgramError: a child has failed already.
        InvalidArgument: the children are of another run.
    """
    if any(child.run is not parent.run for child in children):
        raise InvalidArgument("join: these states belong to another run")
    with parent.run.lock:
        names = tuple(dict.fromkeys(name for child in children for name in child.fresh)) if hand_back else ()
        for child in children:
            if not return_exceptions:
                tie(parent, child)
        node = Join(tuple(child.index for child in children), names, single, return_exceptions)
        parent.record([node], source or caller())
        for name in names:
            handles = [child.fresh.get(name) for child in children]
            note = {"attention_recomputed": False} if appended else {}
            parent.bind_joined(node, name, _handed_back(handles, single, return_exceptions, note))
        for child in children:
            if hand_back:
                child.fresh.clear()
            if return_exceptions and child.error is not None:
                parent.run.seen.add(child.error)
            elif return_exceptions:
                child.on_failure.append(parent.run.seen.add)


def tie(parent: Stream, child: Stream) -> None:
    """A child's failure, now or later, is the parent's, and so that of all its other children."""
    if child.error is not None:
        parent.fail(child.error)
    else:
        child.joined.append(parent)


def _handed_back(
    handles: Sequence[Handle[Outcome] | None], single: bool, return_exceptions: bool, note: Mapping[str, Any]
) -> Handle[Outcome]:  # fmt: skip
    if single and handles[0] is not None and not return_exceptions:
        return handles[0]

    def combine(found: list[Outcome | BaseException | None]) -> Outcome:
        def column(field: str) -> list[object]:
            return [getattr(one, field) if isinstance(one, Outcome) else one for one in found]

        metas = column("meta")
        if note:  # while a program is traced they are symbols, which `isinstance` may not look at
            metas = [{**meta, **note} if type(meta) is dict else meta for meta in metas]
        return Outcome(column("value"), column("text"), metas)

    return gathered(handles, combine, keep_errors=return_exceptions)
