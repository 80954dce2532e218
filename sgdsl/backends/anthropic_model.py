"""AnthropicModel: a model behind the messages interface of the Anthropic API."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from runtime.errors import RequestError
from sgdsl.backends.openai_chunks import close_stream
from sgdsl.backends.text.model import ChoiceScores, Piece, TextCall, TextUsage
from sgdsl.backends.text.transcript import Message, Transcript, check_begun, messages_of
from sgdsl.backends.text.wrapped_choice import choice_schema, unwrapped
from sgdsl.errors import NotSupported
from sgdsl.images import split_data_url
from sgdsl.ir import Image

if TYPE_CHECKING:
    from grammars.spec import Spec
    from runtime.sampling.params import SamplingParams

__all__ = ["AnthropicModel"]

_STOPPED = frozenset(("end_turn", "stop_sequence"))
_CUT_OFF = frozenset(("max_tokens", "model_context_window_exceeded"))


class AnthropicModel:
    """Asks with messages.

    Args:
        create: starts a streamed answer: the client's `messages.create`.
        on_close: closes the client.
        max_tokens: of an answer whose gen sets no limit; the API insists on one.
        prefill: the model goes on with an assistant message that has begun.
        fixed_sampling: it takes no temperature, top_p or top_k.
        extra_body: fields of every request that the client does not know; more: those it does.
    """

    def __init__(
        self,
        create: Callable[..., Awaitable[Any]],
        on_close: Callable[[], Awaitable[None]],
        *,
        max_tokens: int,
        prefill: bool,
        fixed_sampling: bool,
        extra_body: dict[str, Any],
        **more: Any,
    ) -> None:
        self._create = create
        self._on_close = on_close
        self._max_tokens = max_tokens
        self._fixed_sampling = fixed_sampling
        self._body = extra_body
        self._more = more
        self.goes_on = prefill

    async def stream(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        """The assistant's message as it comes."""
        from grammars.spec import Choice

        source = self._pieces(call)
        if isinstance(call.params.constraint, Choice):
            source = unwrapped(source)
        async with aclosing(source) as found:
            async for piece in found:
                yield piece

    async def _pieces(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        messages = messages_of(call.transcript)
        check_begun(messages, prefill=self.goes_on)
        system, rest = _divided(messages)
        fields = _fields(call.params, self._max_tokens)
        if body := self._body | ({} if self._fixed_sampling else _sampling(call.params)):
            fields["extra_body"] = body
        if system:
            fields["system"] = system
        written = messages[-1].text() if messages and messages[-1].is_open else ""
        blanks = written[len(written.rstrip()) :]
        stream = await self._create(messages=[_message(one) for one in rest], stream=True, **fields, **self._more)
        reader = _Reader(blanks)
        try:
            async for event in stream:
                yield reader.read(event)
        finally:
            await close_stream(stream)

    async def score(self, transcript: Transcript, choices: Sequence[str]) -> ChoiceScores:
        """There are none."""
        raise NotSupported("the Anthropic API has no log probabilities")

    async def close(self) -> None:
        """Closes the client."""
        await self._on_close()


class _Reader:
    """Turns the API's events into pieces.

    Args:
        blanks: what the begun message ends with; the API takes none there, so the model may write them again.
    """

    def __init__(self, blanks: str) -> None:
        self._blanks = blanks
        self._prompt_tokens = 0
        self._cached_tokens = 0

    def read(self, event: Any) -> Piece:
        """One event.

        Raises:
            RequestError: it is not of the API's form, or the model refused.
        """
        try:
            if event.type == "message_start":
                self._count(event.message.usage)
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                return Piece(text=self._without_blanks(event.delta.text))
            elif event.type == "message_delta":
                return self._end(event)
        except (AttributeError, TypeError, ValueError) as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError(f"the server sent an event that is not of the API's form: {event!r:.300}") from error
        return Piece()

    def _count(self, usage: Any) -> None:
        self._cached_tokens = usage.cache_read_input_tokens or 0
        self._prompt_tokens = usage.input_tokens + self._cached_tokens + (usage.cache_creation_input_tokens or 0)

    def _without_blanks(self, text: str) -> str:
        while self._blanks and text:
            if text[0] != self._blanks[0]:
                self._blanks = ""
                break
            text, self._blanks = text[1:], self._blanks[1:]
        return text

    def _end(self, event: Any) -> Piece:
        reason = event.delta.stop_reason
        usage = TextUsage(self._prompt_tokens, self._cached_tokens, event.usage.output_tokens)
        if reason in _STOPPED:
            return Piece(finish_reason="stop", matched_stop=event.delta.stop_sequence, usage=usage)
        if reason in _CUT_OFF:
            return Piece(finish_reason="length", usage=usage)
        raise RequestError(f"the model ended its answer with stop_reason={reason!r:.100}")


def _fields(params: SamplingParams, max_tokens: int) -> dict[str, Any]:
    limit = params.max_new_tokens
    fields: dict[str, Any] = {"max_tokens": max_tokens if limit is None else limit}
    stops = [stop for stop in params.stop if stop.strip()]  # the API takes no blank ones; those are looked for here
    if stops:
        fields["stop_sequences"] = stops
    if params.constraint is not None:
        fields["output_config"] = {"format": {"type": "json_schema", "schema": _schema(params.constraint)}}
    return fields


def _sampling(params: SamplingParams) -> dict[str, Any]:
    """Only what a gen asks for: newer models refuse the very fields, and newer clients have none of them."""
    given = {"temperature": params.temperature, "top_p": params.top_p, "top_k": params.top_k}
    neutral = {"temperature": 1, "top_p": 1, "top_k": -1}
    return {name: value for name, value in given.items() if value != neutral[name]}


def _schema(constraint: Spec) -> dict[str, Any]:
    from grammars.spec import Choice, JsonSchema

    if isinstance(constraint, JsonSchema):
        schema: dict[str, Any] = json.loads(constraint.schema)
        return schema
    if isinstance(constraint, Choice):
        return choice_schema(constraint.options)
    raise TypeError(f"a {type(constraint).__name__} constraint was not refused when it was asked for")


def _divided(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """The system prompt and the messages behind it; one that is open and blank is left out.

    Raises:
        RequestError: there is a system message further on, where the API has none.
    """
    count = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
    rest = [message for message in messages[count:] if message.text().strip() or not message.is_open]
    if any(message.role == "system" for message in rest):
        raise RequestError("messages: the Anthropic API takes system messages at the beginning only")
    return "\n\n".join(message.text() for message in messages[:count]), rest


def _message(message: Message) -> dict[str, Any]:
    if message.is_open:
        return {"role": message.role, "content": message.text().rstrip()}
    if not any(isinstance(part, Image) for part in message.content):
        return {"role": message.role, "content": message.text()}
    return {"role": message.role, "content": [_block(part) for part in message.content]}


def _block(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = split_data_url(part.source)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": part.source}}
    return {"type": "image", "source": {"type": "base64", "media_type": data[0], "data": data[1]}}
