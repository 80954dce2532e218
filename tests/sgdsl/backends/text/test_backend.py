from __future__ import annotations

from typing import Any

import pytest

import sgdsl as sg
from runtime.errors import EngineClosed
from sgdsl.backends.text.backend import TextBackend, check_fields, check_model


def test_the_three_are_of_one_kind_and_end_with_their_block(server: Any) -> None:
    assert all(issubclass(kind, TextBackend) for kind in (sg.OpenAI, sg.Anthropic, sg.LiteLLM))
    with sg.OpenAI("m", base_url=f"{server.url}/v1") as backend:
        assert (backend.model, backend.chat_template) == ("m", None)
        session = backend.open(namespace="n", program="p")
        session.mark().result(5)
    with pytest.raises(EngineClosed, match="OpenAI backend was closed"):
        session.mark().result(5)
    backend.close()


@pytest.mark.parametrize("model", ["", 7, None])
def test_a_model_has_a_name(model: Any) -> None:
    with pytest.raises(sg.InvalidArgument, match=f"model={model!r} is not allowed"):
        check_model(model)


def test_fields_are_a_dict() -> None:
    assert check_fields(None) == {}
    assert check_fields({"a": 1}) == {"a": 1}
    with pytest.raises(sg.InvalidArgument, match="extra_body='a' is not allowed"):
        check_fields("a")
