"""LiteLLM: whatever provider the `litellm` package knows, asked for text."""

from __future__ import annotations

import hashlib
from typing import Any

from sgdsl.backends.api_key import check_api_key
from sgdsl.backends.base import Capabilities
from sgdsl.backends.openai_chat import ChatModel
from sgdsl.backends.openai_fields import Dialect
from sgdsl.backends.text.backend import TextBackend, check_model
from sgdsl.backends.text.client_package import client_package
from sgdsl.chat import ChatTemplate

__all__ = ["LiteLLM"]

_NOT_TOLD = ("key", "token", "secret", "password", "credential", "header", "timeout", "retries")
"""What names of settings have in them that no answer depends on."""


class LiteLLM(TextBackend):
    """Runs programs on any provider's chat models through `litellm.acompletion`.

        backend = sg.LiteLLM("groq/llama-3.3-70b-versatile")
        state = program.run(backend=backend)

    What a gen asks for is passed on in the fields of the OpenAI API; where a provider lacks one, litellm refuses the
    call. Selects are made by an answer held to the choices, which their meta calls `constrained_greedy`.

    Args:
        model: provider and name, as litellm writes them.
        response_format: the model can be held to a JSON schema.
        prefill: the model goes on with an assistant message that has begun.
        max_tokens_field: the name of that field.
        chat_template: how `s.text()` shows messages: see `Mock`.
        concurrency: requests at once; more wait.
        context_length: tokens of the longest prompt with its answer, where it is known.
        settings: of every call, such as `api_key`, `api_base`, `timeout` (seconds) and `num_retries`.

    Attributes:
        fingerprint: tells its answers from those of other models, for whoever keeps them.

    Raises:
        NotSupported: the package `litellm` is not installed.
        InvalidArgument: a value that is not allowed.
    """

    name = "LiteLLM"

    def __init__(
        self,
        model: str,
        *,
        response_format: bool = True,
        prefill: bool = False,
        max_tokens_field: str = "max_tokens",
        chat_template: ChatTemplate | str | None = None,
        concurrency: int = 64,
        context_length: int | None = None,
        **settings: Any,
    ) -> None:
        check_model(model)
        check_api_key(settings.get("api_key"))
        dialect = Dialect(is_chat=True, max_tokens=max_tokens_field, response_format=response_format, prefill=prefill)
        litellm = client_package("litellm", "litellm")
        text_model = ChatModel(litellm.acompletion, dialect, _no_client, model=model, **settings)
        super().__init__(
            model, text_model, chat_template=chat_template, concurrency=concurrency, api_key=settings.get("api_key"),
        )  # fmt: skip
        self.fingerprint = f"{self.name} {settings.get('api_base', '')} {model} {dialect} {_told(settings)}"
        self.capabilities = Capabilities(
            constraints=dialect.constraints(), gen_options=dialect.gen_options(), score=False, tokens=False,
            images=True, roles=True, prefill=prefill, speculation=True, concurrency=concurrency,
            context_length=context_length,
        )  # fmt: skip


def _told(settings: dict[str, Any]) -> str:
    """A digest of whatever of the settings an answer may depend on: all but secrets, and how long to try."""
    names = [name for name in sorted(settings) if not any(word in name for word in _NOT_TOLD)]
    return hashlib.sha256(repr([(name, settings[name]) for name in names]).encode()).hexdigest()


async def _no_client() -> None:
    """litellm keeps its own."""
