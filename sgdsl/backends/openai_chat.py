"""ChatModel: a model behind the chat interface of the OpenAI API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from sgdsl.backends.openai_chunks import chat_piece, pieces
from sgdsl.backends.openai_fields import Dialect, chat_fields
from sgdsl.backends.text.model import ChoiceScores, Piece, TextCall
from sgdsl.backends.text.transcript import Message, Transcript, check_begun, messages_of
from sgdsl.backends.text.wrapped_choice import unwrapped
from sgdsl.errors import NotSupported
from sgdsl.ir import Image
from sgdsl.tracing import trace_headers

__all__ = ["ChatModel", "as_messages"]


class ChatModel:
    """Asks with messages.

    Args:
        create: starts a streamed answer: the client's `chat.completions.create`, or what is called alike.
        dialect: what the server takes.
        on_close: closes the client.
        more: further fields of every request.
    """

    def __init__(
        self,
        create: Callable[..., Awaitable[Any]],
        dialect: Dialect,
        on_close: Callable[[], Awaitable[None]],
        **more: Any,
    ) -> None:
        self._create = create
        self._dialect = dialect
        self._on_close = on_close
        self._more = more
        self.goes_on = dialect.prefill

    async def stream(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        """The assistant's message as it comes."""
        source = self._pieces(call)
        if self._is_wrapped(call):
            source = unwrapped(source)
        async with aclosing(source) as found:
            async for piece in found:
                yield piece

    def _is_wrapped(self, call: TextCall) -> bool:
        from grammars.spec import Choice

        return isinstance(call.params.constraint, Choice) and self._dialect.wraps_choices()

    async def _pieces(self, call: TextCall) -> AsyncGenerator[Piece, None]:
        messages = messages_of(call.transcript)
        check_begun(messages, prefill=self.goes_on)
        fields = chat_fields(call, self._dialect)
        body = {**self._more.get("extra_body", {}), **fields.pop("extra_body", {}), **self._continuation(messages)}
        if body:
            fields["extra_body"] = body
        more = {name: value for name, value in self._more.items() if name != "extra_body"}
        if headers := trace_headers():
            more["extra_headers"] = headers
        stream = await self._create(
            messages=as_messages(messages), stream=True, stream_options={"include_usage": True}, **fields, **more
        )
        async with aclosing(pieces(stream, chat_piece)) as found:
            async for piece in found:
                yield piece

    def _continuation(self, messages: Sequence[Message]) -> dict[str, Any]:
        """How some servers are told to go on with the last message instead of beginning another one."""
        if not messages or not messages[-1].is_open or not messages[-1].content or self._dialect.extra is None:
            return {}
        flags: dict[str, Any] = {"continue_final_message": True}
        return flags | ({} if self._dialect.extra == "sglang" else {"add_generation_prompt": False})

    async def score(self, transcript: Transcript, choices: Sequence[str]) -> ChoiceScores:
        """There are none in a chat."""
        raise NotSupported("a chat has no log probabilities of given texts")

    async def close(self) -> None:
        """Closes the client."""
        await self._on_close()


def as_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as the API has them; of one that is open, what there is of it, and nothing of an empty one."""
    return [
        {"role": message.role, "content": _content(message)}
        for message in messages
        if message.content or not message.is_open
    ]


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, Image) for part in message.content):
        return message.text()
    return [
        {"type": "image_url", "image_url": {"url": part.source}}
        if isinstance(part, Image)
        else {"type": "text", "text": part}
        for part in message.content
    ]
