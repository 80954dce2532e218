"""Whatever a body holds: who sent it is told what is wrong, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from grammars import Spec
from runtime.engine import Engine
from runtime.server.keys import RUNNING
from runtime.server.local_engine import LocalEngine
from runtime.server.native.requests import GenerateBody
from runtime.server.openai.requests import ChatRequest, CompletionRequest
from runtime.server.openai.responses.requests import ResponsesRequest

CHAT, TEXT, NATIVE, RESPONSES = "/v1/chat/completions", "/v1/completions", "/generate", "/v1/responses"
MESSAGES = [{"role": "user", "content": "hello"}]
SMALL: dict[str, dict[str, Any]] = {
    CHAT: {"messages": MESSAGES, "max_tokens": 2},
    TEXT: {"prompt": "the", "max_tokens": 2},
    NATIVE: {"text": "the", "sampling_params": {"max_new_tokens": 2}},
    RESPONSES: {"input": "hello", "max_output_tokens": 2},
}
MODELS: dict[str, type[BaseModel]] = {
    CHAT: ChatRequest,
    TEXT: CompletionRequest,
    NATIVE: GenerateBody,
    RESPONSES: ResponsesRequest,
}
SURROGATE = "\\ud800"


def _wrong_fields() -> Iterator[tuple[str, str]]:
    for path, model in MODELS.items():
        for name, field in model.model_fields.items():
            if field.annotation is not Any and Any not in get_args(field.annotation):
                yield path, name


async def _raw(client: Any, path: str, body: bytes) -> tuple[int, Any]:
    async with client.post(path, data=BytesIO(body), headers={"Content-Type": "application/json"}) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(("path", "name"), list(_wrong_fields()))
async def test_a_wrong_type_is_named(client: Any, path: str, name: str) -> None:
    # Of all types, none takes a list of lists of objects.
    status, answer = await _raw(client, path, json.dumps({**SMALL[path], name: [[{"a": 1}]]}).encode())
    assert status == 400
    assert answer["error"]["param"].partition("[")[0].partition(".")[0] == name
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("name", ["temperature", "top_p", "frequency_penalty", "repetition_penalty", "timeout"])
async def test_numbers_that_are_none(client: Any, name: str, number: str) -> None:
    for path in (CHAT, TEXT):
        body = json.dumps({**SMALL[path], name: 0}).replace(f'"{name}": 0', f'"{name}": {number}')
        status, answer = await _raw(client, path, body.encode())
        assert status == 400
        assert answer["error"]["param"] in (name, None)  # JSON knows no NaN
    params = '{"text": "the", "sampling_params": {"max_new_tokens": 1, "NAME": NUMBER}}'
    status, _ = await _raw(client, NATIVE, params.replace("NAME", name).replace("NUMBER", number).encode())
    assert status == 400


@pytest.mark.parametrize("body", [b'{"prompt": "\xff\xfe"}', b'{"prompt": "\xed\xa0\x80"}', b'\x80{"prompt": "a"}'])
async def test_what_is_no_utf8(client: Any, body: bytes) -> None:
    for path in (TEXT, NATIVE, CHAT, RESPONSES, "/tokenize", "/sessions"):
        status, answer = await _raw(client, path, body)
        assert status == 400
        assert answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TEXT, '{"prompt": "S"}'),
        (TEXT, '{"prompt": "a", "stop": "S"}'),
        (TEXT, '{"prompt": "a", "cache_salt": "S"}'),
        (TEXT, '{"prompt": "a", "rid": "S"}'),
        (TEXT, '{"prompt": "a", "regex": "S"}'),
        (TEXT, '{"prompt": "a", "json_schema": {"enum": ["S"]}}'),
        (TEXT, '{"prompt": "a", "S": 1}'),
        (CHAT, '{"messages": [{"role": "user", "content": "S"}]}'),
        (CHAT, '{"messages": [{"role": "user", "content": "a", "name": "S"}]}'),
        (CHAT, '{"messages": [{"role": "user", "content": "a"}], "model": "S"}'),
        (NATIVE, '{"text": "S"}'),
        (NATIVE, '{"text": "a", "sampling_params": {"stop": ["S"]}}'),
        (NATIVE, '{"text": "a", "sampling_params": {"S": 1, "regex": "S"}}'),
        (RESPONSES, '{"input": "S"}'),
        ("/tokenize", '{"text": "S"}'),
        ("/sessions", '{"text": "S"}'),
        ("/sessions", '{"namespace": "S"}'),
        ("/abort_request", '{"rid": "S"}'),
    ],
)
async def test_half_a_character_is_no_text(client: Any, path: str, body: str) -> None:
    status, answer = await _raw(client, path, body.replace("S", SURROGATE).encode())
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("depth", [200, 3_000, 200_000])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TEXT, '{"prompt": "a", "max_tokens": 1, "json_schema": DEEP}'),
        (TEXT, '{"prompt": "a", "max_tokens": 1, "unknown": DEEP}'),
        (TEXT, '{"prompt": "a", "max_tokens": 1, "regex": "NESTED"}'),
        (CHAT, '{"messages": DEEP}'),
        (CHAT, '{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "chat_template_kwargs": DEEP}'),
        (CHAT, '{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "tools": [{"type": "function", '
               '"function": {"name": "f", "parameters": DEEP}}]}'),
        (NATIVE, '{"text": "a", "sampling_params": {"max_new_tokens": 1, "json_schema": DEEP}}'),
        (NATIVE, '{"text": DEEP}'),
        (RESPONSES, '{"input": [DEEP]}'),
        ("/sessions", "DEEP"),
    ],
)  # fmt: skip
async def test_however_deep_it_is(client: Any, path: str, body: str, depth: int) -> None:
    deep = '{"properties":{"a":' * depth + "{}" + "}}" * depth
    nested = "(" * depth + "a" + ")" * depth
    status, _ = await _raw(client, path, body.replace("DEEP", deep).replace("NESTED", nested).encode())
    assert status in (200, 400)
    if depth == 200_000:
        assert status == 400
    async with client.get("/health") as response:
        assert response.status == 200


@pytest.mark.parametrize(("path", "name"), [(TEXT, "stop"), (CHAT, "stop"), (NATIVE, "stop")])
async def test_ten_thousand_stops(client: Any, path: str, name: str) -> None:
    stops = [f"stop {number}" for number in range(10_000)]
    body = {**SMALL[path], name: stops}
    if path == NATIVE:
        body = {"text": "the", "sampling_params": {"max_new_tokens": 2, name: stops}}
    status, answer = await _raw(client, path, json.dumps(body).encode())
    assert status == 400
    assert answer["error"]["param"] == name


GRAMMARS: list[dict[str, Any]] = [
    {"regex": "(?P<a"},
    {"regex": "(a)\\1"},
    {"ebnf": "root ::= root root"},
    {"ebnf": "start: (("},
    {"json_schema": '{"type": "object"'},
    {"json_schema": {"$ref": "#/nowhere"}},
    {"json_schema": {"type": "string", "minLength": 5, "maxLength": 2}},
    {"structural_tag": {"tags": 7}},
    {"response_format": {"type": "nonsense"}},
    {"structured_outputs": {"choice": []}},
]


async def test_bad_grammars_beside_good_requests(
    client: Any, tiny_engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    good = {"prompt": "the theatre", "max_tokens": 6, "temperature": 0, "regex": "[a-z]+ [a-z]+"}
    expected = (await _raw(client, TEXT, json.dumps(good).encode()))[1]["choices"][0]["text"]
    asked = [{**good, "regex": None, **GRAMMARS[place // 2 % 10]} if place % 2 else good for place in range(40)]
    async with asyncio.timeout(120):
        answers = await asyncio.gather(*(_raw(client, TEXT, json.dumps(body).encode()) for body in asked))
    assert [status for status, _ in answers] == [200, 400] * 20
    assert {answer["choices"][0]["text"] for status, answer in answers if status == 200} == {expected}
    assert_nothing_held(tiny_engine)


class SlowCompiler:
    """Stands before an engine's compiler, and lets nothing through until it is told to."""

    def __init__(self, engine: Engine) -> None:
        compiler = engine._core._compilation._compiler
        self._real = compiler.compile
        compiler.compile = self._compile  # type: ignore[method-assign]
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def _compile(self, spec: Spec, *rest: Any) -> Any:
        self.begun.set()
        assert self.goes_on.wait(60)
        return self._real(spec, *rest)


async def test_who_leaves_while_a_grammar_is_compiled(
    make_client: Any, engine: Engine, assert_nothing_held: Callable[[Engine], None]
) -> None:
    client = await make_client(LocalEngine(engine))
    slow = SlowCompiler(engine)
    asked = asyncio.create_task(client.post(TEXT, json={"prompt": "the", "regex": "a+b"}))
    assert await asyncio.to_thread(slow.begun.wait, 60)
    asked.cancel()
    async with asyncio.timeout(30):
        while len(client.app[RUNNING]):
            await asyncio.sleep(0.001)
    assert_nothing_held(engine)
    slow.goes_on.set()
    status, answer = await _raw(client, TEXT, b'{"prompt": "the", "regex": "a{3}b", "temperature": 0}')
    assert (status, answer["choices"][0]["text"]) == (200, "aaab")


async def test_who_leaves_the_queue(
    make_client: Any, make_engine: Callable[..., Engine], assert_nothing_held: Callable[[Engine], None]
) -> None:
    engine = make_engine(max_running_requests=1)
    client = await make_client(LocalEngine(engine))
    async with client.post(TEXT, json={"prompt": "the", "ignore_eos": True, "stream": True}) as first:
        await first.content.readline()
        queued = [asyncio.create_task(client.post(TEXT, json={"prompt": f"then {n}"})) for n in range(5)]
        async with asyncio.timeout(30):
            while len(client.app[RUNNING]) < 6:
                await asyncio.sleep(0.001)
            for one in queued:
                one.cancel()
            while len(client.app[RUNNING]) > 1:
                await asyncio.sleep(0.001)
        first.close()
        async with asyncio.timeout(30):
            while len(client.app[RUNNING]):
                await asyncio.sleep(0.001)
    assert_nothing_held(engine)
