"""RoutedCall: a call as a router sees it, and whether a backend can do it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from sgdsl.backends.base import Backend

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams

__all__ = ["RoutedCall", "can_do", "options_of"]

_IN_LANGUAGE = {
    "max_new_tokens": "max_tokens",
    "min_new_tokens": "min_tokens",
    "constraint_after": "separate_reasoning",
}
_NO_OPTIONS = ("constraint", "priority", "timeout", "jump_forward", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedCall:
    """What a session is about to ask of a backend.

    Attributes:
        kind: "gen", "select", "checkpoint" or "tokens".
        program: its name.
        prompt_chars: characters of text before it; what was written meanwhile by a model counts once it is there.
        num_images: pictures before it.
        is_begun: whether there is text in front of it in the chat message that is open.
        constraint: name of the spec class a gen is held to.
        max_tokens: what a gen may write at most.
        options: what a gen asks for besides, under the language's names.
        num_choices: of a select. unconditional: whether it needs scores without the prompt.
        priority: 0 where nothing was said.
        num_open: sessions open on the router now; a batch has many.
    """

    kind: Literal["gen", "select", "checkpoint", "tokens"]
    program: str = ""
    prompt_chars: int = 0
    num_images: int = 0
    is_begun: bool = False
    constraint: str | None = None
    max_tokens: int | None = None
    options: frozenset[str] = frozenset()
    num_choices: int = 0
    unconditional: bool = False
    priority: int = 0
    num_open: int = 1

    def what(self) -> str:
        """The call in a few words, for messages."""
        parts = [f"a {self.kind}"]
        if self.constraint is not None:
            parts.append(f"constrained by {self.constraint}")
        if self.options:
            parts.append(f"with {', '.join(sorted(self.options))}")
        if self.unconditional:
            parts.append("by unconditional scores")
        if self.priority:
            parts.append(f"with priority={self.priority}")
        if self.num_images:
            parts.append("behind an image")
        return " ".join(parts)


def options_of(params: SamplingParams, top_logprobs: int | None, logprob_start: int | None) -> frozenset[str]:
    """What a gen asks for besides its constraint, under the language's names."""
    plain = type(params)()
    changed = {
        _IN_LANGUAGE.get(field.name, field.name)
        for field in fields(params)
        if field.name not in _NO_OPTIONS and getattr(params, field.name) != getattr(plain, field.name)
    }
    if top_logprobs is not None:
        changed.add("return_logprob")
    if logprob_start is not None:
        changed.add("logprob_start_len")
    return frozenset(changed)


def can_do(backend: Backend, call: RoutedCall) -> bool:
    """Whether a backend says that it can do a call."""
    able = backend.capabilities
    if call.num_images and not able.images:
        return False
    if call.priority and not able.priority:
        return False
    if call.kind in ("gen", "select") and able.roles and call.is_begun and not able.prefill:
        return False
    if call.kind == "gen":
        return (call.constraint is None or call.constraint in able.constraints) and (call.options <= able.gen_options)
    if call.kind == "select":
        return able.score and (able.unconditional or not call.unconditional)
    return able.checkpoints if call.kind == "checkpoint" else able.tokens
