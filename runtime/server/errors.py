"""Errors as HTTP says them: a status, and a body in OpenAI's shape."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from grammars.engines.base import EngineAbsent
from grammars.errors import GrammarError
from runtime.errors import (
    ContextLengthExceeded,
    EngineClosed,
    PoolCapacityExceeded,
    RequestCancelled,
    RequestError,
    RequestTimeout,
)

__all__ = ["CLIENT_CLOSED", "ApiError", "Problem", "bad_request", "problem_of", "response_of"]

log = logging.getLogger("sgdsl.server")

CLIENT_CLOSED = 499
RETRY_SECONDS = 1
MOST_MESSAGE = 2000

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    CLIENT_CLOSED: "request_cancelled",
    503: "service_unavailable_error",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with a request.

    Attributes:
        status: of HTTP; 499 for a request that was cancelled.
        message: for people.
        param: the path of the field that is wrong, such as `messages[0].role`.
        code: a word for programs.
        headers: more of the answer.
    """

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The body of the answer, in OpenAI's shape."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        message = self.message if len(self.message) <= MOST_MESSAGE else self.message[:MOST_MESSAGE] + " …"
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


class ApiError(Exception):
    """A request is answered with an error."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def bad_request(param: str | None, message: str, code: str | None = None) -> ApiError:
    """The request itself is wrong: status 400."""
    return ApiError(Problem(HTTPStatus.BAD_REQUEST, message, param, code))


def problem_of(error: BaseException) -> Problem:
    """How an exception is told to the client; one that nobody foresaw is logged and not shown."""
    if isinstance(error, ApiError):
        return error.problem
    if isinstance(error, web.HTTPException):
        kept = {name: value for name, value in error.headers.items() if name == "Allow"}
        return Problem(error.status, error.text or error.reason, headers=kept)
    if isinstance(error, ContextLengthExceeded | PoolCapacityExceeded):
        return Problem(400, str(error), code="context_length_exceeded")
    if isinstance(error, RequestError):
        # The engine names a part of a field as `logit_bias token` or `logit_bias[5]`.
        field = getattr(error, "field", "").partition(" ")[0].partition("[")[0]
        return Problem(400, str(error), field or None)
    if isinstance(error, GrammarError) and not isinstance(error, EngineAbsent):
        return Problem(400, str(error), code="invalid_grammar")
    if isinstance(error, RequestTimeout):
        return Problem(408, str(error), "timeout", "timeout")
    if isinstance(error, RequestCancelled):
        return Problem(CLIENT_CLOSED, str(error) or "cancelled", code="cancelled")
    if isinstance(error, EngineClosed):
        return Problem(503, str(error), code="engine_unavailable", headers={"Retry-After": str(RETRY_SECONDS)})
    log.error("a request failed", exc_info=error)
    return Problem(500, "the server failed at this request; its log says why", code="internal_error")


def response_of(problem: Problem) -> web.Response:
    """The answer to a request that failed."""
    return web.Response(
        status=problem.status,
        reason="Client Closed Request" if problem.status == CLIENT_CLOSED else None,
        body=msgspec.json.encode(problem.body()),
        content_type="application/json",
        headers=problem.headers,
    )
