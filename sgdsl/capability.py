"""Capability: what an instruction asks of a backend, and whether it can, seen where the program asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from sgdsl.awaited import Awaited
from sgdsl.backends.base import GEN_OPTIONS
from sgdsl.choices import token_length_normalized
from sgdsl.errors import BackendCapabilityError
from sgdsl.ir import Checkpoint, Concat, Gen, Image, Node, RoleBegin, Rollback, Select, Text, Tokens

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend
    from sgdsl.chat import Conversation
    from sgdsl.run import Run
    from sgdsl.step import Step

__all__ = ["check_capability", "check_options", "check_place", "check_select", "generates"]


def check_capability(node: Node | Awaited, backend: Backend) -> None:
    """Refuses what the backend cannot do.

    Raises:
        BackendCapabilityError: naming the instruction and the backend.
    """
    able = backend.capabilities
    if isinstance(node, Gen | Select) and node.priority is not None and not able.priority:
        raise BackendCapabilityError(f"priority={node.priority}", backend.name)
    if isinstance(node, Gen) and node.constraint is not None:
        kind = type(node.constraint).__name__
        if kind not in able.constraints:
            raise BackendCapabilityError(f"a gen constrained by {kind}", backend.name)
    if isinstance(node, Select):
        check_select(node, backend)
    if isinstance(node, Tokens) and not able.tokens:
        raise BackendCapabilityError("tokens", backend.name)
    if isinstance(node, Checkpoint | Rollback) and not able.checkpoints:
        raise BackendCapabilityError(type(node).__name__.lower(), backend.name)
    if isinstance(node, Concat) and not able.concat:
        raise BackendCapabilityError("join('concat_and_append')", backend.name)
    if isinstance(node, Image) and not able.images:
        raise BackendCapabilityError("image", backend.name)


def check_select(node: Select, backend: Backend) -> None:
    """Refuses a select the backend can make neither by scores nor by a gen held to the choices.

    Raises:
        BackendCapabilityError: naming the method and the backend.
    """
    able = backend.capabilities
    if generates(node, backend):
        if "Choice" not in able.constraints:
            raise BackendCapabilityError(f"a select by {node.method.name}", backend.name, "no scores, no choices")
    elif not able.score or (node.method.needs == "unconditional" and not able.unconditional):
        what = f"a select by {node.method.name}" + (f" at temperature={node.temperature:g}" if node.temperature else "")
        raise BackendCapabilityError(what, backend.name, "it has no scores")


def generates(node: Select, backend: Backend) -> bool:
    """Whether a select is a gen held to the choices: asked for as such, or all that is left of the usual method."""
    if node.method.needs == "generate":
        return True
    usual = node.method == token_length_normalized and not node.temperature
    return usual and not backend.capabilities.score


def check_options(node: Node | Awaited, run: Run) -> None:
    """Refuses a gen that asks for what the backend does not honour, the run's defaults included.

    Raises:
        BackendCapabilityError: naming the option, its value and the backend.
    """
    able = run.backend.capabilities.gen_options
    if not isinstance(node, Gen) or able == GEN_OPTIONS:
        return
    for name, value in node.sampling.over(run.sampling).asked().items():
        if name not in able:
            raise BackendCapabilityError(f"{name}={value!r}", run.backend.name)
    if node.token_healing and "token_healing" not in able:
        raise BackendCapabilityError("token_healing=True", run.backend.name)
    if node.constraint is not None and node.reasoning is not None and "separate_reasoning" not in able:
        raise BackendCapabilityError("a constraint behind separated reasoning", run.backend.name)


def check_place(node: Node | Awaited, conversation: Conversation, before: Sequence[Sequence[Step]], run: Run) -> None:
    """Refuses what has no place in the messages of a backend that knows nothing else.

    Args:
        before: the steps in front of it, in several stretches.

    Raises:
        BackendCapabilityError: naming the instruction, where it stands, and what would do.
    """
    able = run.backend.capabilities
    if not able.roles or not isinstance(node, Text | Awaited | Image | Gen | Select):
        return
    kind = "text" if isinstance(node, Awaited) else type(node).__name__.lower()
    role = conversation.roles[-1] if conversation.is_open else None
    if role is None and not (isinstance(node, Text) and not node.text.strip()):
        raise BackendCapabilityError(f"{kind} outside a chat message", run.backend.name, "put it into a role")
    if not isinstance(node, Gen | Select):
        return
    if role != "assistant":
        reason = "its models write assistant messages only"
        raise BackendCapabilityError(f"{kind} inside a {role} message", run.backend.name, reason)
    speculates = able.speculation and run.num_api_spec_tokens is not None
    if not able.prefill and _has_begun(before) and not (speculates and isinstance(node, Gen) and not node.constraint):
        reason = "its models write assistant messages from the beginning; @function(num_api_spec_tokens=…) may help"
        raise BackendCapabilityError(f"{kind} behind other text of an assistant message", run.backend.name, reason)


def _has_begun(before: Sequence[Sequence[Step]]) -> bool:
    """Whether there is something in the message that is open."""
    for step in chain.from_iterable(reversed(stretch) for stretch in reversed(before)):
        if isinstance(step.node, RoleBegin):
            return False
        if isinstance(step.node, Image | Gen | Select | Awaited) or step.text:
            return True
    return False
