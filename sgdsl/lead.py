"""Lead: instructions that a stream was handed before its program has said them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sgdsl.errors import ProgramError
from sgdsl.ir import Gen, Text

if TYPE_CHECKING:
    from sgdsl.step import Step

__all__ = ["Lead"]


class Lead:
    """What is expected of the program, in order.

    Args:
        steps: executed already, or on the way.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = deque(replace(step) if isinstance(step.node, Text) else step for step in steps)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def left_over(self) -> ProgramError:
        """What is wrong where the program has ended before it said all of this."""
        return ProgramError(f"the program has ended, and said {_said(self._steps[0])!r:.60} when it was compiled")

    def meet(self, step: Step) -> tuple[Step, str | None]:
        """The step to keep for one that the program has come to, and the text of it that is still to be executed.

        Texts may be cut otherwise than they were foreseen, as long as they say the same.

        Returns:
            The foreseen step and None; for text, the step itself and what goes beyond the lead.

        Raises:
            ProgramError: the program says something else.
        """
        head = self._steps[0]
        if isinstance(step.node, Text) and isinstance(head.node, Text):
            return step, self._meet_text(step)
        if not _alike(head, step):
            raise _surprise(head, step)
        self._steps.popleft()
        return head, None

    def _meet_text(self, step: Step) -> str | None:
        rest = step.text
        while rest and self._steps:
            head = self._steps[0]
            shared = min(len(head.text), len(rest))
            if not isinstance(head.node, Text) or head.text[:shared] != rest[:shared]:
                raise _surprise(head, step)
            head.text, rest = head.text[shared:], rest[shared:]
            if not head.text:
                self._steps.popleft()
        return rest or None


def _alike(head: Step, step: Step) -> bool:
    first, second = head.node, step.node
    if isinstance(first, Gen) and isinstance(second, Gen):  # two parsers of one type are two functions
        types = [None if node.typed is None else node.typed.type for node in (first, second)]
        return types[0] == types[1] and replace(first, typed=None) == replace(second, typed=None)
    return first == second


def _surprise(head: Step, step: Step) -> ProgramError:
    said = f"the program says {_said(step)!r:.60}, and said {_said(head)!r:.60} when it was compiled"
    return ProgramError(said, step.source)


def _said(step: Step) -> str:
    return step.text if isinstance(step.node, Text) else step.what()
