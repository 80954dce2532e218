"""Chat: what stands before and after the messages of a conversation, derived by rendering the model's own template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sgdsl.errors import InvalidArgument

__all__ = ["CHATML", "ChatTemplate", "Conversation", "chat_template", "chat_template_of"]


class ChatTemplate(Protocol):
    """Renders a whole conversation as one text. `runtime.chat_template.ChatTemplate` is one."""

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False) -> str:
        """The conversation as the model was trained to read it."""

    def __hash__(self) -> int: ...


class _ChatML:
    """The format used where a backend has no template of its own."""

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False) -> str:
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
        return text + "<|im_start|>assistant\n" * add_generation_prompt


CHATML: ChatTemplate = _ChatML()


def chat_template(name_or_jinja: str) -> ChatTemplate:
    """A chat template, in place of the one a model comes with.

    Args:
        name_or_jinja: the name of a format (one of `runtime.chat_formats.FORMATS`, such as "chatml", "llama-3",
            "mistral" or "gemma"), a template as Jinja text, or a file that holds one.

    Raises:
        InvalidArgument: it is none of them, or not valid Jinja.
    """
    from runtime.chat_formats import template_of  # loads jinja2, which `import sgdsl` must not
    from runtime.errors import InvalidParameter

    try:
        return template_of(name_or_jinja)
    except InvalidParameter as error:
        raise InvalidArgument(str(error)) from error


def chat_template_of(given: ChatTemplate | str | None) -> ChatTemplate | None:
    """What a backend was given as its template: an object that renders as it is, a string as `chat_template` reads it.

    Raises:
        InvalidArgument: as there.
    """
    return chat_template(given) if isinstance(given, str) else given


@dataclass(frozen=True, slots=True)
class Conversation:
    """How far a conversation has come: the roles of its messages so far, and whether the last is still open."""

    template: ChatTemplate
    roles: tuple[str, ...] = ()
    is_open: bool = False

    def begin(self, role: str) -> tuple[Conversation, str]:
        """The conversation with a message of `role` begun, and the text that begins it.

        Raises:
            InvalidArgument: another message is open, or the template refuses this order of roles.
        """
        if self.is_open:
            raise InvalidArgument(f"role {role!r} begins inside role {self.roles[-1]!r}, which was not ended")
        roles = (*self.roles, role)
        return Conversation(self.template, roles, True), _edges(self.template, roles)[0]

    def extended(self, roles: Sequence[str]) -> Conversation:
        """The conversation with messages behind it that were written elsewhere."""
        return Conversation(self.template, (*self.roles, *roles), self.is_open)

    def end(self, role: str) -> tuple[Conversation, str]:
        """The conversation with the open message ended, and the text that ends it.

        Raises:
            InvalidArgument: no message of this role is open.
        """
        if not self.is_open or self.roles[-1] != role:
            raise InvalidArgument(f"role {role!r} is ended but was not begun")
        return Conversation(self.template, self.roles, False), _edges(self.template, self.roles)[1]


def _mark(position: int) -> str:
    return f"\ue000{position}\ue001"  # private-use characters: no template strips or escapes them


def _render(template: ChatTemplate, roles: tuple[str, ...]) -> str:
    return template.render([{"role": role, "content": _mark(i)} for i, role in enumerate(roles)])


@lru_cache(maxsize=4096)
def _edges(template: ChatTemplate, roles: tuple[str, ...]) -> tuple[str, str]:
    """What stands before and after the last message of `roles`, given that the ones before are written already."""
    last = _mark(len(roles) - 1)
    text, error = "", None
    try:
        text = _render(template, roles)
    except Exception as failure:  # templates raise their own exceptions, of any class
        error = failure
    if last not in text:  # written only together with the next message, as system prompts of some models are
        return _prefix(template, roles, _with_next(template, roles, error)), ""
    return _prefix(template, roles, text), text.partition(last)[2]


def _with_next(template: ChatTemplate, roles: tuple[str, ...], error: Exception | None) -> str:
    try:
        text = _render(template, (*roles, "user"))
    except Exception as failure:
        error = error or failure
        text = ""
    if _mark(len(roles) - 1) not in text:
        reason = f": {error}" if error is not None else ""
        raise InvalidArgument(f"the chat template does not take a {roles[-1]!r} message here{reason}") from error
    return text


def _prefix(template: ChatTemplate, roles: tuple[str, ...], text: str) -> str:
    head = text.partition(_mark(len(roles) - 1))[0]
    if len(roles) == 1:
        return head
    written = "".join(
        "".join((before, _mark(i), after))
        for i, (before, after) in enumerate(_edges(template, roles[: i + 1]) for i in range(len(roles) - 1))
    )
    if head.startswith(written):
        return head[len(written) :]
    between = head.partition(_mark(len(roles) - 2))[2]
    suffix = _edges(template, roles[:-1])[1]
    return between.removeprefix(suffix)
