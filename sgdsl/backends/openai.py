"""OpenAI: any server of the OpenAI API, asked for text through the `openai` client."""

from __future__ import annotations

import os
from typing import Any, get_args
from urllib.parse import urlsplit

from sgdsl.backends.api_key import check_api_key
from sgdsl.backends.base import Capabilities
from sgdsl.backends.openai_chat import ChatModel
from sgdsl.backends.openai_completion import CompletionModel
from sgdsl.backends.openai_fields import Dialect, Extra
from sgdsl.backends.text.backend import TextBackend, check_fields, check_model
from sgdsl.backends.text.client_package import client_package
from sgdsl.backends.text.model import TextModel
from sgdsl.chat import ChatTemplate
from sgdsl.errors import InvalidArgument

__all__ = ["OpenAI"]

_COMPLETION_MODELS = frozenset(("babbage-002", "davinci-002", "gpt-3.5-turbo-instruct"))
"""The models that OpenAI itself serves without a chat interface."""


class OpenAI(TextBackend):
    """Runs programs on OpenAI's models, or on those of any server with the same API (vLLM, SGLang, llama.cpp …).

        backend = sg.OpenAI("gpt-4.1-mini")
        local = sg.OpenAI("qwen", base_url="http://127.0.0.1:30000/v1", extra="sglang")
        state = program.run(backend=backend)

    A JSON schema is sent as it is, and strictly where it has the shape OpenAI insists on then (every object closed,
    every field required); either way the answer is checked. What the API has no field for is refused where the program
    asks for it. Stop patterns, and stop strings beyond what
    the server takes, are looked for here, and end the request. A gen's `n` samples are `n` requests. A select is made
    by scores where a completion server echoes log probabilities; elsewhere by an answer held to the choices, which the
    select's meta calls `constrained_greedy`. Use it as a context manager, or call `close`.

    Args:
        model: the name the server knows it by.
        base_url: of the server, up to and including `/v1`; OpenAI's otherwise.
        api_key: otherwise the environment's `OPENAI_API_KEY`; a server of one's own may need none.
        is_chat_model: asked with messages, rather than with a plain prompt. None: all but OpenAI's completion models.
        chat_template: how messages are written into a plain prompt, and shown by `s.text()`: see `Mock`.
        extra: "sglang", "vllm" or "llamacpp" where the server takes their fields: regexes, choices, grammars, `top_k`,
            `min_p`, `min_tokens`, `repetition_penalty`, `stop_token_ids` and `ignore_eos`. llama.cpp has neither
            regexes, nor `min_tokens`, nor `stop_token_ids`.
        response_format: the server can hold a chat's answer to a JSON schema.
        fixed_sampling: the model takes no temperature and no top_p (reasoning models do not): gens that ask for one are
            refused, and selects are made at the model's own.
        prefill: a chat goes on with an assistant message that has begun. None: where `extra` is given.
        echo: a completion server echoes log probabilities of a prompt. None: where `extra` is "sglang" or "vllm".
        max_tokens_field: None is `max_completion_tokens` for OpenAI's own chat models, else `max_tokens`.
        extra_body: further fields of every request.
        concurrency: requests at once; more wait.
        context_length: tokens of the longest prompt with its answer, where it is known.
        client: an `openai.AsyncOpenAI` (or `AsyncAzureOpenAI`) of one's own; it is used on the backend's loop alone,
            and is closed with it.
        settings: of the client, such as `timeout` (seconds), `max_retries` and `default_headers`.

    Attributes:
        fingerprint: tells its answers from those of other models, for whoever keeps them.

    Raises:
        NotSupported: the package `openai` is not installed.
        InvalidArgument: a value that is not allowed.
    """

    name = "OpenAI"

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        is_chat_model: bool | None = None,
        chat_template: ChatTemplate | str | None = None,
        extra: Extra | None = None,
        response_format: bool = True,
        fixed_sampling: bool = False,
        prefill: bool | None = None,
        echo: bool | None = None,
        max_tokens_field: str | None = None,
        extra_body: dict[str, Any] | None = None,
        concurrency: int = 64,
        context_length: int | None = None,
        client: Any = None,
        **settings: Any,
    ) -> None:
        check_model(model)
        if extra is not None and extra not in get_args(Extra):
            raise InvalidArgument(f"extra={extra!r} is not allowed: one of {', '.join(get_args(Extra))}, or None")
        if client is not None and (base_url or api_key or settings):
            raise InvalidArgument("client=… is given together with settings of a client: give one of them")
        is_chat = model not in _COMPLETION_MODELS if is_chat_model is None else is_chat_model
        fields = check_fields(extra_body)
        made = client if client is not None else _client(base_url, api_key, settings)
        dialect = Dialect(
            is_chat=is_chat, extra=extra, response_format=response_format, fixed_sampling=fixed_sampling,
            max_tokens=max_tokens_field or _max_tokens_field(str(made.base_url), is_chat),
            prefill=extra is not None if prefill is None else prefill,
        )  # fmt: skip
        more: dict[str, Any] = {"model": model} | ({"extra_body": fields} if fields else {})
        text_model = _text_model(made, dialect, more)
        super().__init__(
            model, text_model, chat_template=chat_template, concurrency=concurrency,
            api_key=getattr(made, "api_key", None),
        )  # fmt: skip
        self.base_url = str(made.base_url)
        self.fingerprint = f"{self.name} {self.base_url} {model} {dialect} {sorted(fields.items())}"
        self.capabilities = Capabilities(
            constraints=dialect.constraints(), gen_options=dialect.gen_options(), tokens=False, images=is_chat,
            score=not is_chat and (dialect.echoes() if echo is None else echo), roles=is_chat,
            prefill=not is_chat or dialect.prefill, speculation=True, concurrency=concurrency,
            context_length=context_length,
        )  # fmt: skip


def _client(base_url: str | None, api_key: str | None, settings: dict[str, Any]) -> Any:
    openai = client_package("openai", "openai")
    check_api_key(api_key)
    check_api_key(os.environ.get("OPENAI_API_KEY") if api_key is None else None, "OPENAI_API_KEY")
    key = api_key
    if key is None and base_url is not None and "OPENAI_API_KEY" not in os.environ:
        key = "none"  # the client insists on one, many servers do not
    try:
        return openai.AsyncOpenAI(base_url=base_url, api_key=key, **settings)
    except (openai.OpenAIError, TypeError) as error:
        raise InvalidArgument(f"OpenAI: {error}") from error


def _text_model(client: Any, dialect: Dialect, more: dict[str, Any]) -> TextModel:
    if dialect.is_chat:
        return ChatModel(client.chat.completions.create, dialect, client.close, **more)
    return CompletionModel(client, dialect, **more)


def _max_tokens_field(base_url: str, is_chat: bool) -> str:
    """OpenAI's newer models know `max_tokens` no longer, and many other servers do not know its successor."""
    host = urlsplit(base_url).hostname or ""
    is_openai = host == "api.openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
    return "max_completion_tokens" if is_chat and is_openai else "max_tokens"
