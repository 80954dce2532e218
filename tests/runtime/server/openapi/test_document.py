"""The document is complete: it has every route, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from runtime.server.app import make_app
from runtime.server.config import ServerConfig
from runtime.server.local_engine import LocalEngine
from runtime.server.openapi.operation import Operation
from runtime.server.openapi.operations import operations


def _references(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        for one in found.values():
            yield from _references(one)
    elif isinstance(found, list):
        for one in found:
            yield from _references(one)


def _routes(app: web.Application) -> set[tuple[str, str]]:
    return {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}


async def _document(client: Any) -> Any:
    async with client.get("/openapi.json") as response:
        assert response.status == 200
        return await response.json()


async def test_every_route_is_described_and_nothing_else(client: Any, tiny_engine: Any) -> None:
    found = await _document(client)
    described = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    app = make_app(LocalEngine(tiny_engine), ServerConfig())
    hidden = {("POST", "/programs")}  # this server is handed nobody who runs them
    assert described == {(method, path) for method, path in _routes(app) if method != "HEAD"} - hidden
    assert described | hidden == {(one.method, one.path) for one in operations()}
    names = [one["operationId"] for methods in found["paths"].values() for one in methods.values()]
    assert len(set(names)) == len(names)


async def test_every_reference_leads_somewhere_and_schemas_are_schemas(client: Any) -> None:
    found = await _document(client)
    for reference in _references(found):
        place = found
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_every_failure_has_the_shape_of_errors(client: Any) -> None:
    found = await _document(client)
    error = {"$ref": "#/components/schemas/Error"}
    for response in found["components"]["responses"].values():
        assert response["content"]["application/json"]["schema"] == error
    chat = found["paths"]["/v1/chat/completions"]["post"]
    assert {"200", "400", "404", "408", "413", "429", "499", "503"} == set(chat["responses"])
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}


async def test_a_time_that_is_up_has_one_status_everywhere(client: Any) -> None:
    found = await _document(client)
    statuses = {
        path: set(methods["post"]["responses"]) for path, methods in found["paths"].items() if "post" in methods
    }
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/generate", "/sessions/{id}/generate"):
        assert "408" in statuses[path]
    assert {path for path, some in statuses.items() if "504" in some} == set()


async def test_keys_are_asked_for_where_they_are_needed(make_client: Any) -> None:
    found = await _document(await make_client(api_keys=("one",)))
    scheme = found["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    chat, health = found["paths"]["/v1/chat/completions"]["post"], found["paths"]["/health"]["get"]
    assert chat["security"] == [{"key": []}]
    assert "401" in chat["responses"]
    assert health["security"] == []
    assert "403" not in found["paths"]["/cache"]["get"]["responses"]
    found = await _document(await make_client(admin_api_keys=("boss",)))
    assert found["paths"]["/v1/chat/completions"]["post"]["security"] == []
    assert {"401", "403"} <= set(found["paths"]["/cache"]["get"]["responses"])


def _needed(operation: Operation) -> str | None:
    fields = operation.body.model_fields if operation.body is not None else {}
    return next((name for name, field in fields.items() if field.is_required()), None)


@pytest.mark.parametrize(
    "operation",
    [one for one in operations() if _needed(one) and one.path != "/programs"],
    ids=lambda one: str(one.path),
)
async def test_fields_that_are_needed_are_those_the_handler_asks_for(client: Any, operation: Operation) -> None:
    path = operation.path
    if "{id}" in path:
        opened = await (await client.post("/sessions", json={})).json()
        path = path.replace("{id}", opened["id"])
    async with client.post(path, json={}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == _needed(operation)
