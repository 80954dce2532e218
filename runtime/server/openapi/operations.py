"""Operations: what the document says of every route there is. A test holds it against the application's routes."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from runtime.server.native.cache import MOST_CHARACTERS, MOST_NODES
from runtime.server.native.control import AbortBody
from runtime.server.native.requests import DetokenizeBody, GenerateBody, TokenizeBody
from runtime.server.openai.requests import ChatRequest, CompletionRequest, EmbeddingRequest
from runtime.server.openai.responses.requests import ResponsesRequest
from runtime.server.openapi import answers
from runtime.server.openapi.operation import Operation, Query, Trouble
from runtime.server.page.routes import content_type
from runtime.server.page.routes import routes as page_routes
from runtime.server.programs.routes import PROGRAMS, ProgramBody
from runtime.server.sessions import requests as sessions
from runtime.wire import messages as wire

__all__ = ["operations", "operations_of"]

PROGRAMS_PATH = "/programs"
_ASKS = (Trouble.BODY, Trouble.ABSENT, Trouble.WORK)


def operations_of(app: web.Application) -> list[Operation]:
    """What an application does."""
    return [one for one in operations() if one.path != PROGRAMS_PATH or PROGRAMS in app]


def operations() -> Iterator[Operation]:
    """All that there can be."""
    yield from _openai()
    yield from _native()
    yield from _about()
    yield from _sessions()
    yield from _own()


def _openai() -> Iterator[Operation]:
    yield Operation(
        method="POST", path="/v1/chat/completions", tag="OpenAI", summary="Answers a conversation",
        body=ChatRequest, answer=answers.ChatCompletion, streams=True, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path="/v1/completions", tag="OpenAI", summary="Continues prompts, given as text or token ids",
        body=CompletionRequest, answer=answers.TextCompletion, streams=True, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path="/v1/embeddings", tag="OpenAI", summary="Embeddings; models that write texts make none",
        body=EmbeddingRequest, troubles=(Trouble.BODY, Trouble.ABSENT),
    )  # fmt: skip
    yield Operation(
        method="POST", path="/v1/responses", tag="OpenAI", summary="Answers as items, which can be gone on from later",
        body=ResponsesRequest, answer=answers.Response, streams=True, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="GET", path="/v1/responses/{name}", tag="OpenAI", summary="An earlier response",
        answer=answers.Response, troubles=(Trouble.ABSENT,),
    )  # fmt: skip
    yield Operation(
        method="DELETE", path="/v1/responses/{name}", tag="OpenAI", summary="Forgets an earlier response",
        answer=answers.ResponseDeleted, troubles=(Trouble.ABSENT,),
    )  # fmt: skip
    yield Operation(
        method="GET", path="/v1/models", tag="OpenAI", summary="The models there are", answer=answers.ModelList
    )
    yield Operation(
        method="GET", path="/v1/models/{name}", tag="OpenAI", summary="One model",
        answer=answers.ModelCard, troubles=(Trouble.ABSENT,),
    )  # fmt: skip


def _native() -> Iterator[Operation]:
    yield Operation(
        method="POST", path="/generate", tag="Native", summary="Continues prompts, in SGLang's shape",
        body=GenerateBody, answer=answers.Generated, is_list=True, streams=True, troubles=(Trouble.BODY, Trouble.WORK),
    )  # fmt: skip
    yield Operation(
        method="POST", path=PROGRAMS_PATH, tag="Native", summary="Runs a compiled program",
        body=ProgramBody, answer=answers.ProgramResult, streams=True,
        troubles=(Trouble.BODY, Trouble.WORK),
    )  # fmt: skip
    yield Operation(
        method="POST", path="/tokenize", tag="Native", summary="Token ids of texts",
        body=TokenizeBody, answer=answers.TokenResult, troubles=(Trouble.BODY,),
    )  # fmt: skip
    yield Operation(
        method="POST", path="/detokenize", tag="Native", summary="Texts of token ids",
        body=DetokenizeBody, answer=answers.TextResult, troubles=(Trouble.BODY,),
    )  # fmt: skip
    yield Operation(
        method="POST", path="/abort_request", tag="Native", summary="Cancels requests by name, or all",
        body=AbortBody, answer=answers.Aborted, troubles=(Trouble.BODY,),
    )  # fmt: skip
    for method in ("GET", "POST"):
        yield Operation(
            method=method, path="/flush_cache", tag="Native", summary="Forgets every prefix that nothing running needs",
            answer=answers.Flushed, troubles=(Trouble.ENGINE,),
        )  # fmt: skip


def _about() -> Iterator[Operation]:
    yield Operation(
        method="GET", path="/health", tag="About", summary="Whether the server takes requests",
        answer=answers.Health, troubles=(Trouble.ENGINE,), is_open=True,
    )  # fmt: skip
    yield Operation(
        method="GET", path="/health_generate", tag="About", summary="Whether the engine makes tokens",
        answer=answers.Health, troubles=(Trouble.ENGINE,),
    )  # fmt: skip
    for path in ("/server_info", "/get_server_info"):
        yield Operation(
            method="GET", path=path, tag="About", summary="What runs, with what settings, and counters",
            answer=answers.ServerInfo, troubles=(Trouble.ENGINE,),
        )  # fmt: skip
    for path in ("/model_info", "/get_model_info"):
        yield Operation(method="GET", path=path, tag="About", summary="The model", answer=answers.ModelInfo)
    yield Operation(
        method="GET", path="/metrics", tag="About", summary="Metrics, for Prometheus", media_type="text/plain"
    )
    number = {"type": "integer", "minimum": 1}
    yield Operation(
        method="GET", path="/cache", tag="About", summary="What is in the prefix cache, and who holds it",
        query=(
            Query(name="limit", description="nodes", schema={**number, "maximum": MOST_NODES, "default": 100}),
            Query(name="characters", description="of a text", schema={**number, "maximum": MOST_CHARACTERS}),
            Query(name="namespace", description="this one alone", schema={"type": "string"}),
        ),
        answer=answers.CacheContents, troubles=(Trouble.BAD, Trouble.ENGINE, Trouble.LACKING),
    )  # fmt: skip


def _sessions() -> Iterator[Operation]:
    one = "/sessions/{id}"
    yield Operation(
        method="GET", path=wire.PATH, tag="Sessions", summary="Sessions by websocket", status=101,
        troubles=(Trouble.BAD, Trouble.ENGINE),
    )  # fmt: skip
    yield Operation(
        method="POST", path="/sessions", tag="Sessions", summary="Opens a session",
        body=sessions.OpenBody, answer=answers.SessionOpened, troubles=(Trouble.BODY, Trouble.BUSY, Trouble.ENGINE),
    )  # fmt: skip
    yield Operation(
        method="GET", path=one, tag="Sessions", summary="The tokens of a session",
        answer=answers.Session, troubles=(Trouble.BAD, Trouble.ABSENT, Trouble.WORK),
    )  # fmt: skip
    yield Operation(
        method="DELETE", path=one, tag="Sessions", summary="Ends a session when what it was asked for is done",
        answer=answers.Success, troubles=(Trouble.ABSENT,),
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/cancel", tag="Sessions", summary="Ends a session at once",
        answer=answers.Success, troubles=(Trouble.ABSENT,),
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/append", tag="Sessions", summary="Appends text or token ids",
        body=sessions.AppendBody, answer=answers.SessionName, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/generate", tag="Sessions", summary="Lets the model go on",
        body=sessions.GenerateHereBody, answer=answers.Generated, streams=True, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/score", tag="Sessions", summary="Scores texts and goes on with the one chosen",
        body=sessions.ScoreBody, answer=answers.ScoreResult, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/fork", tag="Sessions", summary="New sessions that go on from here",
        body=sessions.ForkBody, answer=answers.SessionForks, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/concat", tag="Sessions", summary="Appends what forks hold beyond the fork",
        body=sessions.ConcatBody, answer=answers.Count, troubles=_ASKS,
    )  # fmt: skip
    yield Operation(
        method="POST", path=one + "/truncate", tag="Sessions", summary="Back to so many tokens",
        body=sessions.TruncateBody, answer=answers.Count, troubles=_ASKS,
    )  # fmt: skip


def _own() -> Iterator[Operation]:
    yield Operation(method="GET", path="/openapi.json", tag="About", summary="This document", is_open=True)
    for route in page_routes():
        yield Operation(
            method="GET", path=route.path, tag="Page", summary="A part of the page", is_open=True,
            media_type=content_type(route.path),
        )  # fmt: skip
