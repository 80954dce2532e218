from __future__ import annotations

from typing import Any

import pytest

PATH = "/v1/embeddings"


@pytest.mark.parametrize("given", ["the", ["a", "b"], [1, 2], [[1], [2]]])
async def test_a_model_that_writes_says_that_it_makes_none(post: Any, given: Any) -> None:
    status, answer = await post(PATH, input=given, model="tiny")
    assert status == 400
    assert answer["error"]["param"] == "model"
    assert answer["error"]["code"] == "embeddings_not_supported"
    assert "'tiny'" in answer["error"]["message"]


async def test_what_is_wrong_besides_is_said_first(post: Any) -> None:
    assert (await post(PATH, input="a", model="gpt-9"))[0] == 404
    status, answer = await post(PATH, input=5)
    assert (status, answer["error"]["param"]) == (400, "input")
