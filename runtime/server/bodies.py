"""Bodies: JSON from requests into pydantic models, and back into answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ValidationError

from runtime.server.errors import ApiError, Problem, bad_request
from runtime.server.keys import CONFIG, FIELD_NOTES

__all__ = ["LARGE_BYTES", "answer", "param_of", "read_json", "read_model"]

M = TypeVar("M", bound=BaseModel)

LARGE_BYTES = 64 << 10
"""Larger bodies are parsed in a thread, so that nobody waits for it."""


async def read_json(request: web.Request) -> Any:
    """The body as Python objects.

    Raises:
        ApiError: it is no JSON, or does not come.
        web.HTTPRequestEntityTooLarge: there is more of it than the server takes.
    """
    body = await _body(request)
    if len(body) > LARGE_BYTES:
        return await asyncio.to_thread(_decoded, body)
    return _decoded(body)


async def read_model(request: web.Request, model: type[M], passed: Collection[str] = ()) -> M:
    """The body as a model; fields it does not know are noted.

    Args:
        passed: fields that somebody else knows.

    Raises:
        ApiError: it is no JSON or does not come, or a field has the wrong type; `param` names it.
    """
    body = await _body(request)
    if len(body) > LARGE_BYTES:
        found = await asyncio.to_thread(_validated, model, body)
    else:
        found = _validated(model, body)
    request.app[FIELD_NOTES].ignored((found.model_extra or {}).keys() - set(passed), request.path)
    return found


def answer(content: Any, *, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(content), content_type="application/json", headers=headers)


async def _body(request: web.Request) -> bytes:
    seconds = request.app[CONFIG].body_seconds
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise ApiError(Problem(408, f"the body had not come after {seconds:g} s", code="timeout")) from None


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(None, f"the body is no JSON: {error}", "invalid_json") from None
    except RecursionError:
        raise bad_request(None, "the body is nested too deeply", "invalid_json") from None


def _validated(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _wrong(error) from None


def _wrong(error: ValidationError) -> ApiError:
    param, message = param_of(error)
    if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid":
        return bad_request(None, f"the body is no JSON: {message}", "invalid_json")
    return bad_request(param or None, f"{param or 'the body'}: {message}")


def param_of(error: ValidationError) -> tuple[str, str]:
    """The path of the first field that is wrong, such as `messages[0].role`, and what would have been right."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = ""
    for part in first["loc"]:
        if isinstance(part, int):
            param += f"[{part}]"
        elif part.isidentifier() and part not in UNION_TAGS and not part[0].isupper():
            param += f".{part}" if param else part
    return param, first["msg"]


UNION_TAGS = frozenset({"str", "int", "float", "bool", "dict", "list", "none"})
"""What pydantic puts into a path for the members of a union; those that are models begin with a capital."""
