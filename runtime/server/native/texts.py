"""Texts: `POST /tokenize` and `POST /detokenize`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from runtime.server.bodies import answer, read_model
from runtime.server.errors import bad_request
from runtime.server.keys import ENGINE
from runtime.server.native.requests import DetokenizeBody, TokenizeBody
from runtime.server.native.samples import LONG_TEXT
from runtime.tokenizer import Tokenizer

__all__ = ["detokenize", "tokenize"]

LONG_TOKENS = 2048


async def tokenize(request: web.Request) -> web.Response:
    """Token ids of a text, or of each of several, begun as the model wants a prompt begun."""
    body = await read_model(request, TokenizeBody)
    given = body.text if body.text is not None else body.prompt
    if given is None:
        raise bad_request("text", "text: a string or a list of strings is needed")
    tokenizer = request.app[ENGINE].tokenizer
    texts = [given] if isinstance(given, str) else given
    begins = body.add_special_tokens and tokenizer.adds_bos
    if sum(map(len, texts)) > LONG_TEXT:
        tokens = await asyncio.to_thread(tokenizer.encode_batch, texts, add_bos=begins)
    else:
        tokens = [tokenizer.encode(text, add_bos=begins) for text in texts]
    counts = [len(one) for one in tokens]
    length = request.app[ENGINE].context_length
    single = isinstance(given, str)
    return answer(
        {
            "tokens": tokens[0] if single else tokens,
            "count": counts[0] if single else counts,
            "max_model_len": length,
        }
    )


async def detokenize(request: web.Request) -> web.Response:
    """The text of token ids, or of each of several lists."""
    body = await read_model(request, DetokenizeBody)
    given = body.tokens if body.tokens is not None else body.input_ids
    if given is None:
        raise bad_request("tokens", "tokens: a list of token ids, or of such lists, is needed")
    rows = [row for row in given if isinstance(row, list)]
    single = not rows
    rows = rows or [[token for token in given if isinstance(token, int)]]
    tokenizer = request.app[ENGINE].tokenizer
    _check(rows, tokenizer)
    if sum(map(len, rows)) > LONG_TOKENS:
        texts = await asyncio.to_thread(_decoded, tokenizer, rows, body.skip_special_tokens)
    else:
        texts = _decoded(tokenizer, rows, body.skip_special_tokens)
    return answer({"text": texts[0] if single else texts})


def _check(rows: Sequence[Sequence[int]], tokenizer: Tokenizer) -> None:
    for row in rows:
        for token in row:
            if not 0 <= token < tokenizer.vocab_size:
                raise bad_request("tokens", f"tokens: {token} is no token id: 0..{tokenizer.vocab_size - 1} are")


def _decoded(tokenizer: Tokenizer, rows: Sequence[Sequence[int]], skips: bool) -> list[str]:
    return [tokenizer.decode(row, skip_special_tokens=skips) for row in rows]
