"""`instructor`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field


class Colour(BaseModel):
    """A colour."""

    name: Literal["red", "green"]
    share: int = Field(ge=0, le=100)


@pytest.fixture
def client(url: str, client_of: Any) -> Iterator[Any]:
    client_of("instructor")
    with client_of("openai").OpenAI(base_url=url, api_key="secret", max_retries=0, timeout=120) as made:
        yield made


ASKED: Any = {
    "model": "smollm2",
    "messages": [{"role": "user", "content": "Name a colour."}],
    "response_model": Colour,
    "max_tokens": 60,
    "temperature": 0,
    "max_retries": 0,
}


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_what_is_held_to_a_form_is_one(client: Any, client_of: Any, mode: str) -> None:
    instructor = client_of("instructor")
    made = instructor.from_openai(client, mode=instructor.Mode[mode])
    assert isinstance(made.chat.completions.create(**ASKED), Colour)


@pytest.mark.parametrize("mode", ["JSON", "MD_JSON"])
def test_what_is_only_asked_for_is_answered(client: Any, client_of: Any, mode: str) -> None:
    # The schema is but in the prompt here, and so small a model need not keep to it.
    instructor = client_of("instructor")
    errors = pytest.importorskip("instructor.core.exceptions")
    answers: list[Any] = []
    made = instructor.from_openai(client, mode=instructor.Mode[mode])
    made.on("completion:response", answers.append)
    with contextlib.suppress(errors.InstructorRetryException, errors.IncompleteOutputException):
        assert isinstance(made.chat.completions.create(**ASKED), Colour)
    text = answers[0].choices[0].message.content
    assert text
    assert mode == "MD_JSON" or text.lstrip().startswith("{")


def test_a_stream_of_partial_objects(client: Any, client_of: Any) -> None:
    instructor = client_of("instructor")
    made = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
    asked = {name: value for name, value in ASKED.items() if name != "max_retries"}
    *_, last = made.chat.completions.create_partial(**asked)
    assert last.name in ("red", "green")


def test_plain_chat(client: Any, client_of: Any) -> None:
    made = client_of("instructor").from_openai(client)
    asked = {**ASKED, "response_model": None}
    assert made.chat.completions.create(**asked).choices[0].message.content


def test_several_objects_by_a_tool(client: Any, client_of: Any) -> None:
    instructor = client_of("instructor")
    made = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
    asked = {**ASKED, "max_tokens": 200}
    del asked["response_model"], asked["max_retries"]
    errors = pytest.importorskip("instructor.core.exceptions")
    found: list[Any] = []
    # A list may be longer than its limit; what has come by then are whole objects.
    with contextlib.suppress(errors.IncompleteOutputException):
        found += made.chat.completions.create_iterable(response_model=Colour, **asked)
    assert all(isinstance(one, Colour) for one in found)


async def test_the_asynchronous_client(url: str, client_of: Any) -> None:
    instructor = client_of("instructor")
    async with client_of("openai").AsyncOpenAI(base_url=url, api_key="secret", max_retries=0, timeout=120) as client:
        made = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
        assert isinstance(await made.chat.completions.create(**ASKED), Colour)
