from __future__ import annotations

from typing import Any


async def test_the_one_model_is_listed_and_shown(client: Any) -> None:
    async with client.get("/v1/models") as response:
        listed = await response.json()
    assert listed["object"] == "list"
    (card,) = listed["data"]
    assert (card["id"], card["object"], card["max_model_len"]) == ("tiny", "model", 512)
    async with client.get("/v1/models/tiny") as response:
        assert await response.json() == card


async def test_a_name_of_its_own(make_client: Any) -> None:
    client = await make_client(served_model_name="team/model")
    async with client.get("/v1/models/team/model") as response:
        assert (await response.json())["id"] == "team/model"


async def test_another_model_is_not_there(client: Any) -> None:
    async with client.get("/v1/models/gpt-9") as response:
        error = (await response.json())["error"]
    assert response.status == 404
    assert (error["param"], error["code"]) == ("model", "model_not_found")
