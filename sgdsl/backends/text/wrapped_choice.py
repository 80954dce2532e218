"""Wrapped choice: a choice as the field of a JSON object, for servers that can be held to a schema and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from runtime.errors import RequestError
from sgdsl.backends.text.model import Piece

__all__ = ["ANSWER", "choice_schema", "unwrapped"]

ANSWER = "answer"
"""The only field: a schema's root has to be an object."""


def choice_schema(options: Sequence[str]) -> dict[str, Any]:
    """The schema of an object around one of `options`."""
    return {
        "type": "object", "properties": {ANSWER: {"type": "string", "enum": list(options)}},
        "required": [ANSWER], "additionalProperties": False,
    }  # fmt: skip


async def unwrapped(stream: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
    """The choice out of such an object, as one piece when it is whole.

    Raises:
        RequestError: it is no such object, or was cut off.
    """
    text: list[str] = []
    async with aclosing(stream) as pieces:
        async for piece in pieces:
            text.append(piece.text)
            if piece.finish_reason:
                yield Piece(text=_field("".join(text), is_cut=piece.finish_reason == "length"))
            yield Piece(finish_reason=piece.finish_reason, usage=piece.usage)


def _field(whole: str, *, is_cut: bool) -> str:
    try:
        found = json.loads(whole)[ANSWER]
        if isinstance(found, str):
            return found
    except (ValueError, TypeError, LookupError):
        pass
    cut = "; it was cut off, max_tokens is too small" if is_cut else ""
    raise RequestError(f"the server's answer is no object with a string {ANSWER!r}: {whole!r:.200}{cut}")
