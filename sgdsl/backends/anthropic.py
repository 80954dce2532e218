"""Anthropic: Anthropic's models, asked for text through the `anthropic` client."""

from __future__ import annotations

import os
from typing import Any

from sgdsl.backends.anthropic_model import AnthropicModel
from sgdsl.backends.api_key import check_api_key
from sgdsl.backends.base import Capabilities
from sgdsl.backends.text.backend import TextBackend, check_fields, check_model
from sgdsl.backends.text.client_package import client_package
from sgdsl.chat import ChatTemplate
from sgdsl.errors import InvalidArgument

__all__ = ["Anthropic"]

_SAMPLING = frozenset(("temperature", "top_p", "top_k"))
_GEN_OPTIONS = _SAMPLING | {"max_tokens", "max_new_tokens", "n", "stop", "stop_regex"}


class Anthropic(TextBackend):
    """Runs programs on Anthropic's models.

        backend = sg.Anthropic("claude-sonnet-4-5", prefill=True)
        state = program.run(backend=backend)

    System messages go to the API's `system`, joined by a blank line. Stop patterns are looked for here, and end the
    request. A gen's `n` samples are `n` requests. Gens can be held to a JSON schema or to choices, and so selects are
    made, which their meta calls `constrained_greedy`. Use it as a context manager, or call `close`.

    Args:
        model: its name.
        api_key: otherwise the environment's `ANTHROPIC_API_KEY`.
        max_tokens: of an answer whose gen sets no limit.
        prefill: the model goes on with an assistant message that has begun; some refuse to. Blanks at its end are not
            sent, because the API takes none there.
        fixed_sampling: the model takes no temperature, top_p or top_k (newer ones do not): gens that ask for one are
            refused, and selects are made at the model's own.
        structured: the model can be held to a JSON schema.
        extra_body: further fields of every request.
        chat_template: how `s.text()` shows messages: see `Mock`.
        concurrency: requests at once; more wait.
        context_length: tokens of the longest prompt with its answer, where it is known.
        client: an `anthropic.AsyncAnthropic` of one's own; it is used on the backend's loop alone, and is closed
            with it.
        settings: of the client, such as `base_url`, `timeout` (seconds) and `max_retries`.

    Attributes:
        fingerprint: tells its answers from those of other models, for whoever keeps them.

    Raises:
        NotSupported: the package `anthropic` is not installed.
        InvalidArgument: a value that is not allowed.
    """

    name = "Anthropic"

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        max_tokens: int = 4096,
        prefill: bool = False,
        fixed_sampling: bool = False,
        structured: bool = True,
        extra_body: dict[str, Any] | None = None,
        chat_template: ChatTemplate | str | None = None,
        concurrency: int = 64,
        context_length: int | None = None,
        client: Any = None,
        **settings: Any,
    ) -> None:
        check_model(model)
        if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
            raise InvalidArgument(f"max_tokens={max_tokens!r} is not allowed: an integer of at least 1")
        if client is not None and (api_key or settings):
            raise InvalidArgument("client=… is given together with settings of a client: give one of them")
        fields = check_fields(extra_body)
        made = client if client is not None else _client(api_key, settings)
        text_model = AnthropicModel(
            made.messages.create, made.close, max_tokens=max_tokens,
            prefill=prefill, fixed_sampling=fixed_sampling, model=model, extra_body=fields,
        )  # fmt: skip
        super().__init__(
            model, text_model, chat_template=chat_template, concurrency=concurrency,
            api_key=getattr(made, "api_key", None),
        )  # fmt: skip
        self.base_url = str(made.base_url)
        self.fingerprint = f"{self.name} {self.base_url} {model} {sorted(fields.items())}"
        self.capabilities = Capabilities(
            constraints=frozenset(("JsonSchema", "Choice") if structured else ()),
            gen_options=_GEN_OPTIONS - (_SAMPLING if fixed_sampling else frozenset()),
            score=False, tokens=False, images=True, roles=True, prefill=prefill, speculation=True,
            concurrency=concurrency, context_length=context_length,
        )  # fmt: skip


def _client(api_key: str | None, settings: dict[str, Any]) -> Any:
    anthropic = client_package("anthropic", "anthropic")
    check_api_key(api_key)
    check_api_key(os.environ.get("ANTHROPIC_API_KEY") if api_key is None else None, "ANTHROPIC_API_KEY")
    try:
        return anthropic.AsyncAnthropic(api_key=api_key, **settings)
    except (anthropic.AnthropicError, TypeError) as error:
        raise InvalidArgument(f"Anthropic: {error}") from error
