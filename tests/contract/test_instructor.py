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
