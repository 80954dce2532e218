"""Nodes: what a program says, one frozen instruction each. Nothing here runs; `sgdsl.interpreter` does that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from sgdsl.choices import ChoicesMethod
from sgdsl.ir.values import Arg, Value, VarRef
from sgdsl.reasoning import Reasoning
from sgdsl.sampling import Sampling
from sgdsl.types import Typed

if TYPE_CHECKING:
    from grammars.spec import Spec
    from sgdsl.ir.graph import Graph

__all__ = [
    "Arg",
    "Call",
    "Checkpoint",
    "Concat",
    "Fork",
    "Gen",
    "Image",
    "Join",
    "Node",
    "RoleBegin",
    "RoleEnd",
    "Rollback",
    "ScopeBegin",
    "ScopeEnd",
    "Select",
    "SetVar",
    "Text",
    "Tokens",
    "VarRef",
]


@dataclass(frozen=True, slots=True)
class Text:
    """Constant text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture among the text.

    Attributes:
        source: an http(s) URL, or the picture itself as a `data:` URL in base64.
    """

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gen:
    """Text the model writes, bound to `name`.

    Attributes:
        sampling: what the gen says itself; the run's defaults fill the rest.
        constraint: what the text must look like.
        typed: how the text becomes a Python value; None leaves it a string.
        token_healing: the first token may begin inside the prompt's last ones.
        reasoning: how reasoning before the answer is written; `constraint` and `typed` are of the answer alone.
        timeout: seconds from being handed over to the backend.
        priority: higher runs first, where the backend has priorities.
    """

    name: str | None
    sampling: Sampling = field(default_factory=Sampling)
    constraint: Spec | None = None
    typed: Typed | None = None
    token_healing: bool = False
    reasoning: Reasoning | None = None
    timeout: float | None = None
    priority: int | None = None

    @property
    def reasoning_name(self) -> str | None:
        """What the reasoning is bound to, where it is separated."""
        return None if self.name is None or self.reasoning is None else f"{self.name}_reasoning_content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """The likeliest of `choices` by `method`, or one drawn by softmax of the scores when `temperature` > 0."""

    name: str | None
    choices: tuple[str, ...]
    method: ChoicesMethod
    temperature: float = 0.0
    seed: int | None = None
    timeout: float | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class RoleBegin:
    """A chat message of this role begins: its prefix, as the chat template writes it.

    Attributes:
        text: that prefix, where it was written out for one template already.
    """

    role: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RoleEnd:
    """The chat message of this role ends: its suffix.

    Attributes:
        text: that suffix, where it was written out for one template already.
    """

    role: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ScopeBegin:
    """From here on, the text belongs to variable `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class ScopeEnd:
    """Up to here, the text belongs to variable `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Fork:
    """The streams `children` begin here, each with everything this stream holds so far."""

    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Variables `names` are, from here on, the lists of the values they have in `children`.

    The children's failures become the stream's own.

    Attributes:
        single: there is one child, and its values come back as they are.
        return_exceptions: a failed child's values are its error, and nobody else fails.
    """

    children: tuple[int, ...]
    names: tuple[str, ...]
    single: bool = False
    return_exceptions: bool = False


@dataclass(frozen=True, slots=True)
class Concat:
    """What the streams `children` hold beyond what they began with is appended, as KV, one after the other.

    Attention across the parts is not recomputed: each part has seen the common beginning and itself.
    """

    children: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A point the stream can return to."""

    index: int


@dataclass(frozen=True, slots=True)
class Rollback:
    """Back to checkpoint `index`: what came after it is taken out of the text."""

    index: int


@dataclass(frozen=True, slots=True)
class SetVar:
    """From here on, `name` is a value of the program's own."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Call:
    """Another program runs beside this stream; its value is read through a `VarRef` to this instruction.

    Attributes:
        graph: what it does.
        arguments: by the names of its parameters.
        sampling: defaults for its gens.
    """

    graph: Graph
    arguments: tuple[tuple[str, Value], ...]
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Asks for the token ids so far; like a checkpoint, it cuts the text."""


Node: TypeAlias = (
    Text
    | Arg
    | VarRef
    | Image
    | Gen
    | Select
    | RoleBegin
    | RoleEnd
    | ScopeBegin
    | ScopeEnd
    | Fork
    | Join
    | Concat
    | Checkpoint
    | Rollback
    | SetVar
    | Call
    | Tokens
)
