"""`dspy`, which asks for nothing but messages."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest


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
