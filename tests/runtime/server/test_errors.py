from __future__ import annotations

import pytest
from aiohttp import web

from grammars.errors import GrammarTimeout, InvalidSpec, UnsupportedConstraint
from runtime.errors import (
    ContextLengthExceeded,
    EngineClosed,
    InvalidParameter,
    PoolCapacityExceeded,
    RequestCancelled,
    RequestTimeout,
    StepFailed,
)
from runtime.server.errors import bad_request, problem_of


@pytest.mark.parametrize(
    ("error", "status", "kind", "param", "code"),
    [
        (InvalidParameter("n", 0, "1"), 400, "invalid_request_error", "n", None),
        (InvalidParameter("logit_bias[5]", 0, "1"), 400, "invalid_request_error", "logit_bias", None),
        (bad_request("a.b", "no"), 400, "invalid_request_error", "a.b", None),
        (ContextLengthExceeded("long"), 400, "invalid_request_error", None, "context_length_exceeded"),
        (PoolCapacityExceeded("long"), 400, "invalid_request_error", None, "context_length_exceeded"),
        (InvalidSpec("bad"), 400, "invalid_request_error", None, "invalid_grammar"),
        (UnsupportedConstraint("if", "/"), 400, "invalid_request_error", None, "invalid_grammar"),
        (GrammarTimeout("slow"), 400, "invalid_request_error", None, "invalid_grammar"),
        (RequestTimeout("late"), 408, "timeout_error", "timeout", "timeout"),
        (RequestCancelled("gone"), 499, "request_cancelled", None, "cancelled"),
        (EngineClosed("dead"), 503, "service_unavailable_error", None, "engine_unavailable"),
        (web.HTTPNotFound(), 404, "not_found_error", None, None),
        (web.HTTPMethodNotAllowed("PUT", ["GET"]), 405, "invalid_request_error", None, None),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "invalid_request_error", None, None),
    ],
)
def test_each_error_has_its_status(
    error: Exception, status: int, kind: str, param: str | None, code: str | None
) -> None:
    problem = problem_of(error)
    said = problem.body()["error"]
    assert (problem.status, said["type"], said["param"], said["code"]) == (status, kind, param, code)
    assert said["message"]


@pytest.mark.parametrize("error", [StepFailed("secret"), ZeroDivisionError("secret")])
def test_what_nobody_foresaw_is_logged_and_not_shown(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    problem = problem_of(error)
    assert problem.status == 500
    assert "secret" not in problem.message
    assert caplog.records[-1].exc_info is not None


def test_who_may_come_later_is_told_when() -> None:
    assert "Retry-After" in problem_of(EngineClosed("dead")).headers
    assert problem_of(web.HTTPMethodNotAllowed("PUT", ["GET"])).headers == {"Allow": "GET"}


def test_long_messages_are_cut() -> None:
    assert len(bad_request(None, "x" * 100_000).problem.body()["error"]["message"]) < 2100
