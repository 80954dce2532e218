"""Call formats: how families of models write calls of functions, and which one a model was trained on."""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

__all__ = ["HERMES", "LLAMA_3", "MISTRAL", "MISTRAL_ARGS", "CallFormat", "call_format_of"]

_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFormat:
    """How a model writes calls: `start`, one call or several with `between` them, `end`.

    A call is `open`, the name, `middle`, the arguments as JSON, `close`. Any of these texts may hold names of special
    tokens, which then stand for the tokens.

    Attributes:
        trigger: where calls begin; what is said holds it nowhere.
        other_opens: what the model may write instead of `open` where it writes of its own accord.
        special: names of special tokens that the texts hold.
        marker: a special token that may stand before calls; it is never shown.
        is_single: the chat template takes one call a message.
        id_length: of the alphanumeric ids that the chat template asks for; 0 where it takes any.
    """

    trigger: str
    open: str
    middle: str
    close: str
    start: str = ""
    between: str = ""
    end: str = ""
    other_opens: tuple[str, ...] = ()
    special: tuple[str, ...] = ()
    marker: str | None = None
    is_single: bool = False
    id_length: int = 0

    @property
    def opens(self) -> tuple[str, ...]:
        """All that a call may begin with."""
        return (self.open, *self.other_opens)

    def begin(self, name: str) -> str:
        """What stands before the arguments."""
        return f"{self.open}{name}{self.middle}"

    def written(self, *calls: tuple[str, str]) -> str:
        """Calls of names with arguments, one after another."""
        listed = (f"{self.begin(name)}{arguments}{self.close}" for name, arguments in calls)
        return f"{self.start}{self.between.join(listed)}{self.end}"

    def new_id(self) -> str:
        """A name for a call."""
        if self.id_length:
            return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(self.id_length))
        return f"call_{secrets.token_hex(12)}"

    def known_id(self, given: str) -> str:
        """A call's name as the chat template takes it."""
        return given[-self.id_length :] if self.id_length else given


HERMES = CallFormat(
    trigger="<tool_call>",
    open='<tool_call>\n{"name": "',
    middle='", "arguments": ',
    close="}\n</tool_call>",
    between="\n",
)
"""Of Hermes, Qwen and many others."""
MISTRAL = CallFormat(
    trigger="[TOOL_CALLS]",
    start="[TOOL_CALLS] [",
    open='{"name": "',
    middle='", "arguments": ',
    close="}",
    between=", ",
    end="]",
    special=("[TOOL_CALLS]",),
    id_length=9,
)
"""Of Mistral's models up to tokenizer version 7."""
MISTRAL_ARGS = CallFormat(
    trigger="[TOOL_CALLS]",
    open="[TOOL_CALLS]",
    middle="[ARGS]",
    close="",
    special=("[TOOL_CALLS]", "[ARGS]"),
    id_length=9,
)
"""Of Mistral's later models; the `[CALL_ID]` of some is left out."""
LLAMA_3 = CallFormat(
    trigger='{"name": "',
    open='{"name": "',
    middle='", "parameters": ',
    close="}",
    between="; ",
    other_opens=('{"type": "function", "name": "',),
    marker="<|python_tag|>",
)
"""Of Llama 3.1 and later: the answer is the call."""


def call_format_of(template_source: str, special_tokens: Collection[str]) -> CallFormat:
    """The format that a model was trained on, as its chat template shows it, or else its special tokens.

    Args:
        template_source: the chat template's text.
        special_tokens: names of the model's special tokens.
    """
    found = _shown(template_source) or _shown(" ".join(special_tokens)) or HERMES
    if "[TOOL_CALLS][" in template_source and found is MISTRAL:
        found = replace(found, start="[TOOL_CALLS][")
    if "single tool-call" in template_source:
        found = replace(found, is_single=True)
    marker = found.marker if found.marker in special_tokens else None
    return replace(found, special=_held(found.special, special_tokens), marker=marker)


def _shown(text: str) -> CallFormat | None:
    if HERMES.trigger in text:
        return HERMES
    if MISTRAL.trigger in text:
        return MISTRAL_ARGS if "[ARGS]" in text else MISTRAL
    if "<|python_tag|>" in text or ("<|start_header_id|>" in text and '"parameters"' in text):
        return LLAMA_3
    return None


def _held(names: Iterable[str], special_tokens: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in special_tokens)
