"""Step: an instruction in a stream, with what comes of it; Mark: a point in a stream that it can return to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.handle import Handle
from sgdsl.awaited import Awaited
from sgdsl.chat import Conversation
from sgdsl.ir import Call, Concat, Gen, Node, RoleBegin, RoleEnd, Select, Text, Tokens
from sgdsl.outcome import Outcome
from sgdsl.source import Source

if TYPE_CHECKING:
    from runtime.hint import Hint
    from sgdsl.meeting import Meeting

__all__ = ["Mark", "Step", "begun"]

_AWAITED = (Gen, Select, Tokens, Call, Concat, Awaited)


@dataclass(slots=True, eq=False)
class Step:
    """An instruction in a stream.

    Attributes:
        node: what to do.
        source: the program line that asked for it.
        text: of constant text and role edges.
        outcome: of gens, selects and whatever else has to be waited for, in the making.
        meeting: where it waits for other streams.
        hint: what is known of the time after it, for backends that can use it.
    """

    node: Node | Awaited
    source: Source | None = None
    text: str = ""
    outcome: Handle[Outcome] | None = None
    meeting: Meeting | None = None
    hint: Hint | None = None

    @property
    def only_waits(self) -> bool:
        """Whether the program never said it: it stands there until another stream has come to its own step."""
        return self.meeting is not None and self.meeting.step is not self

    def what(self) -> str:
        """The instruction in a few words, for messages."""
        kind = type(self.node).__name__.lower()
        name = getattr(self.node, "name", None)
        return f'{kind} "{name}"' if name is not None else kind

    def final_text(self) -> str:
        """The text it stands for; a failed gen stands for none, an unfinished one is an error of the caller."""
        if self.outcome is None:
            return self.text
        outcome = self.outcome.result()
        return str(outcome.text[0] if outcome.has_samples else outcome.text)


@dataclass(slots=True, eq=False)
class Mark:
    """A point a stream can return to: what it held there, and (once the backend got there) how many tokens.

    It is good until the stream returns to an earlier one.
    """

    trail_length: int
    variables: dict[str, Handle[Outcome]]
    fresh: dict[str, Handle[Outcome]]
    conversation: Conversation
    scopes: tuple[tuple[str, int], ...]
    is_good: bool = True
    tokens: Handle[int] | None = None


def begun(
    conversation: Conversation, node: Node | Awaited, source: Source | None
) -> tuple[Conversation, Step]:  # fmt: skip
    """An instruction as a step, and the conversation behind it.

    Raises:
        InvalidArgument: a role begins or ends where it cannot.
    """
    step = Step(node, source)
    if isinstance(node, RoleBegin):
        conversation, text = conversation.begin(node.role)
        step.text = text if node.text is None else node.text
    elif isinstance(node, RoleEnd):
        conversation, text = conversation.end(node.role)
        step.text = text if node.text is None else node.text
    elif isinstance(node, Text):
        step.text = node.text
    elif isinstance(node, _AWAITED):
        step.outcome = Handle()
    return conversation, step
