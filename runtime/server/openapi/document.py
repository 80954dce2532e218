"""Document: the operations as OpenAPI 3.1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from runtime.server.access.middleware import ADMIN_PATHS
from runtime.server.errors import CLIENT_CLOSED
from runtime.server.openapi.answers import Error
from runtime.server.openapi.operation import Operation

__all__ = ["Guarded", "document"]

REFERENCE = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Who is let in.

    Attributes:
        needs_key: requests need a key. has_admins: what concerns everybody needs an admin's.
    """

    needs_key: bool = False
    has_admins: bool = False

    def statuses(self, one: Operation) -> list[int]:
        """What a request without the right key gets, and one of a key that has too many in work."""
        is_admins = self.has_admins and one.path in ADMIN_PATHS
        if one.is_open or not (self.needs_key or is_admins):
            return []
        return [401, *([403] if is_admins else []), *([429] if one.method != "GET" or one.status == 101 else [])]


def document(operations: Iterable[Operation], guarded: Guarded) -> dict[str, Any]:
    """The document.

    Args:
        operations: what there is.
        guarded: who is let in.
    """
    listed = list(operations)
    references, schemas = _schemas(listed)
    paths: dict[str, Any] = {}
    for one in listed:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, references, guarded)
    scheme = {"type": "http", "scheme": "bearer", "description": "one of the server's API keys"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sgdsl",
            "version": _version(),
            "description": "A language model behind OpenAI's, SGLang's and this server's own endpoints.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {str(status): _failure(status, references) for status in _statuses(listed)},
            "securitySchemes": {"key": scheme},
        },
    }


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sgdsl")
    except PackageNotFoundError:  # run from a folder that nobody has installed
        return "0"


_References = dict[Any, dict[str, Any]]


def _schemas(listed: Iterable[Operation]) -> tuple[_References, dict[str, Any]]:
    """Where each model stands in the document, and all of them."""
    modes: dict[type[BaseModel], JsonSchemaMode] = {Error: "serialization"}
    for one in listed:
        if one.body is not None:
            modes[one.body] = "validation"
        if one.answer is not None:
            modes[one.answer] = "serialization"
    references, found = models_json_schema(list(modes.items()), ref_template=REFERENCE)
    return {model: schema for (model, _), schema in references.items()}, found["$defs"]


def _statuses(listed: Iterable[Operation]) -> list[int]:
    return sorted({401, 403, 429, *(status for one in listed for status in one.statuses)})


def _operation(one: Operation, references: _References, guarded: Guarded) -> dict[str, Any]:
    refusals = guarded.statuses(one)
    found: dict[str, Any] = {
        "operationId": _name(one),
        "tags": [one.tag],
        "summary": one.summary,
        "security": [{"key": []}] if refusals else [],
        "responses": {str(one.status): _success(one, references)},
    }
    if parameters := _parameters(one):
        found["parameters"] = parameters
    if one.body is not None:
        content = {"application/json": {"schema": references[one.body]}}
        found["requestBody"] = {"required": True, "content": content}
    for status in sorted({*one.statuses, *refusals}):
        found["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def _name(one: Operation) -> str:
    return "_".join([one.method.lower(), *re.findall(r"\w+", one.path)])


def _parameters(one: Operation) -> list[dict[str, Any]]:
    places = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(one.path)
    ]
    queries = [
        {"name": query.name, "in": "query", "description": query.description, "schema": query.schema}
        for query in one.query
    ]
    return [*places, *queries]


def _success(one: Operation, references: _References) -> dict[str, Any]:
    if one.status == HTTPStatus.SWITCHING_PROTOCOLS:
        return {"description": "The connection is a websocket from here on"}
    schema: dict[str, Any] = {} if one.answer is None else references[one.answer]
    if one.is_list:
        schema = {"anyOf": [schema, {"type": "array", "items": schema}]}
    content: dict[str, Any] = {one.media_type: {"schema": schema}}
    if one.streams:
        content["text/event-stream"] = {"schema": {"description": "events of JSON, and [DONE] at the end"}}
    return {"description": one.summary, "content": content}


def _failure(status: int, references: _References) -> dict[str, Any]:
    description = "The request was cancelled" if status == CLIENT_CLOSED else HTTPStatus(status).phrase
    return {"description": description, "content": {"application/json": {"schema": references[Error]}}}
