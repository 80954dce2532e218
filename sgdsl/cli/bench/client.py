"""Client: sends requests to one server and times what comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from sgdsl.cli.bench.sample import NO_CONNECTION, Sample
from sgdsl.cli.errors import CommandError

__all__ = ["Client"]

CONNECT_SECONDS = 10
LONGEST_LINE = 1 << 20
"""Bytes of one event that are read at most."""
LONGEST_DETAIL = 200
MOST_CLOSED = 8
"""Connections that may turn out to be closed before a request is given up."""


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


class Client:
    """A server of OpenAI's API. To be used with `async with`.

    Args:
        url: with or without `/v1` at its end.
        api_key: sent as a bearer token; None for none.
        timeout: seconds in which something of an answer must come; all of it, in ten times as many.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float) -> None:
        self.url = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._timeout = timeout
        self._decoder = msgspec.json.Decoder(_Event)

    async def __aenter__(self) -> Client:
        limits = aiohttp.ClientTimeout(total=10 * self._timeout, sock_connect=CONNECT_SECONDS, sock_read=self._timeout)
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=limits, connector=aiohttp.TCPConnector(limit=0)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def model(self, wanted: str | None) -> str:
        """The model to ask for: the one that is wanted, or the first that the server has.

        Raises:
            CommandError: the server cannot be reached, refuses us, or does not have it.
        """
        try:
            async with self._session.get(f"{self.url}/models") as response:
                status, body = response.status, await response.text()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise CommandError(f"--url {self.url}: {_words(error)}") from None
        if status in (401, 403):
            raise CommandError(f"--api-key: the server at {self.url} does not take it (status {status})")
        names = _names(body) if status == 200 else []
        if wanted is not None and (wanted in names or not names):
            return wanted
        if not names:
            raise CommandError(f"--url {self.url}: /models tells no model (status {status}); is it OpenAI's API?")
        if wanted is not None:
            raise CommandError(f"--model {wanted}: the server has {', '.join(names[:10])}")
        return names[0]

    async def ask(self, path: str, body: Mapping[str, Any]) -> Sample:
        """Sends one request and reads its stream; failures are in the sample."""
        sample = Sample(time.monotonic())
        try:
            async with await self._post(path, body) as response:
                if response.status == 200:
                    await self._read(response, sample)
                else:
                    sample.error, sample.detail = f"status {response.status}", await response.text()
        except aiohttp.ClientConnectorError as error:
            sample.error, sample.detail = NO_CONNECTION, _words(error)
        except TimeoutError:
            sample.error, sample.detail = (
                "timeout",
                f"nothing for {self._timeout:g} s, or no end in {10 * self._timeout:g} s",
            )
        except (aiohttp.ClientError, OSError) as error:
            sample.error, sample.detail = "connection lost", _words(error)
        except (msgspec.DecodeError, ValueError) as error:
            sample.error, sample.detail = "unreadable answer", _words(error)
        sample.detail = sample.detail[:LONGEST_DETAIL]
        sample.ended = time.monotonic()
        return sample

    async def _post(self, path: str, body: Mapping[str, Any]) -> aiohttp.ClientResponse:
        """Sends a request; again where the server has closed the connection that was kept for it.

        Servers differ in how long they keep one, and some close it after every stream. Several may be closed by now.
        """
        for _ in range(MOST_CLOSED):
            try:
                return await self._session.post(f"{self.url}/{path}", json=body)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                continue
        return await self._session.post(f"{self.url}/{path}", json=body)

    async def _read(self, response: aiohttp.ClientResponse, sample: Sample) -> None:
        texts: list[str] = []
        is_over = False
        async for data in _events(response):
            if data == b"[DONE]":
                is_over = True
                break
            event = self._decoder.decode(data)
            if event.error is not None:
                sample.error, sample.detail = "error in the stream", str(event.error)
                return
            for choice in event.choices:
                text = _text(choice)
                if text:
                    sample.arrivals.append(time.monotonic())
                    texts.append(text)
                is_over = is_over or choice.finish_reason is not None
            if event.usage is not None:
                _count(event.usage, sample)
        sample.text = "".join(texts)
        if not is_over:
            sample.error, sample.detail = "stream cut off", f"after {len(texts)} pieces"


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The data of server-sent events."""
    held = b""
    async for piece in response.content.iter_any():
        *lines, held = (held + piece).split(b"\n")
        if len(held) > LONGEST_LINE:
            raise ValueError(f"an event of more than {LONGEST_LINE} bytes")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _text(choice: _Choice) -> str | None:
    if choice.delta is None:
        return choice.text
    return choice.delta.content or choice.delta.reasoning_content or choice.delta.reasoning


def _count(usage: _Usage, sample: Sample) -> None:
    sample.prompt_tokens, sample.new_tokens = usage.prompt_tokens, usage.completion_tokens
    if usage.prompt_tokens_details is not None:
        sample.cached_tokens = usage.prompt_tokens_details.cached_tokens


def _names(body: str) -> list[str]:
    try:
        return [card["id"] for card in msgspec.json.decode(body)["data"] if isinstance(card["id"], str)]
    except (msgspec.DecodeError, KeyError, TypeError):
        return []


def _words(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    return (str(error) or type(error).__name__).splitlines()[0]
