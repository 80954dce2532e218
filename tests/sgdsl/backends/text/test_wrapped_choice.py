from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from runtime.errors import RequestError
from sgdsl.backends.text.model import Piece, TextUsage
from sgdsl.backends.text.wrapped_choice import choice_schema, unwrapped


class Source:
    def __init__(self, *pieces: Piece) -> None:
        self.pieces = pieces
        self.is_closed = False

    async def stream(self) -> AsyncGenerator[Piece, None]:
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.is_closed = True


async def test_the_choice_comes_whole_and_then_the_rest() -> None:
    usage = TextUsage(3, 0, 4)
    source = Source(Piece(text='{"answer'), Piece(text='": "a b"}', finish_reason="stop"), Piece(usage=usage))
    found = [piece async for piece in unwrapped(source.stream())]
    assert "".join(piece.text for piece in found) == "a b"
    assert [piece.text for piece in found if piece.text] == ["a b"]
    assert [piece.finish_reason for piece in found if piece.finish_reason] == ["stop"]
    assert found[-1].usage == usage


@pytest.mark.parametrize(("text", "reason", "named"), [("a", "stop", "'a'"), ('{"answer": "', "length", "cut off")])
async def test_what_is_no_such_object_closes_the_stream(text: str, reason: str, named: str) -> None:
    source = Source(Piece(text=text, finish_reason=reason), Piece(text="more"))
    with pytest.raises(RequestError, match=named):
        [piece async for piece in unwrapped(source.stream())]
    assert source.is_closed


async def test_closing_it_early_closes_the_stream() -> None:
    source = Source(Piece(text="a"), Piece(text="b"))
    stream = unwrapped(source.stream())
    await anext(stream)
    await stream.aclose()
    assert source.is_closed


def test_the_schema_is_an_object() -> None:
    schema = choice_schema(("a", "b"))
    assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["answer"], False)
    assert schema["properties"]["answer"]["enum"] == ["a", "b"]
