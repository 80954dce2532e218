"""`dspy`, which asks for nothing but messages."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel


@pytest.fixture
def lm(url: str, client_of: Any) -> Any:
    return client_of("dspy").LM(
        "openai/smollm2", api_base=url, api_key="secret", max_tokens=40, cache=False, num_retries=0, timeout=120
    )


def test_a_prompt(lm: Any) -> None:
    assert lm("Name a colour.", max_tokens=5)[0]


def test_messages_with_samples(lm: Any) -> None:
    answers = lm(messages=[{"role": "user", "content": "Name a colour."}], n=2, temperature=1.0, max_tokens=5)
    assert len(answers) == 2
    assert lm.history[-1]["usage"]["completion_tokens"] > 0


def test_responses(url: str, client_of: Any) -> None:
    lm = client_of("dspy").LM(
        "openai/smollm2", model_type="responses", api_base=url, api_key="secret", max_tokens=16, cache=False,
        num_retries=0, timeout=120,
    )  # fmt: skip
    assert lm("Name a colour.")[0]


def test_a_signature_is_asked(lm: Any, client_of: Any) -> None:
    # So small a model seldom keeps to the adapter's form; that its answer reached the adapter is what counts.
    dspy = client_of("dspy")
    exceptions = pytest.importorskip("dspy.utils.exceptions")
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter()), contextlib.suppress(exceptions.AdapterParseError):
        dspy.Predict("question -> answer")(question="Name a colour.")
    asked = lm.history[-1]
    assert asked["outputs"][0]
    assert asked["usage"]["prompt_tokens"] > 0


def test_a_form_for_the_answer(lm: Any) -> None:
    class Colour(BaseModel):
        name: Literal["red", "green"]

    assert Colour.model_validate_json(lm("Name a colour.", response_format=Colour)[0])


def test_tools(lm: Any) -> None:
    parameters = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"]}
    tool = {"type": "function", "function": {"name": "paint", "parameters": parameters}}
    (answer,) = lm("Paint it.", tools=[tool], tool_choice="required")
    call = answer["tool_calls"][0]
    assert call.function.name == "paint"
    assert json.loads(call.function.arguments)["colour"] in ("red", "green")


async def test_a_stream(lm: Any, client_of: Any) -> None:
    dspy = client_of("dspy")
    listener = pytest.importorskip("dspy.streaming").StreamListener
    exceptions = pytest.importorskip("dspy.utils.exceptions")
    program = dspy.streamify(
        dspy.Predict("question -> answer"), stream_listeners=[listener(signature_field_name="answer")]
    )
    with dspy.context(lm=lm), contextlib.suppress(exceptions.AdapterParseError, ExceptionGroup):
        async for _ in program(question="Name a colour."):
            pass
    assert lm.history[-1]["outputs"][0]
