from __future__ import annotations

import pytest

from runtime.server.openai.answer_reader import AnswerReader, reasoning_in
from runtime.server.openai.tools import HERMES


def test_reasoning_then_text_then_a_call() -> None:
    text = "<think>hm, let me see</think>\n\nWell. " + HERMES.written("go", "{}")
    for size in (1, 3, 1000):
        reader = AnswerReader(reasoning_in("<think>", "user"), HERMES)
        pieces = [reader.feed(text[place : place + size]) for place in range(0, len(text), size)]
        pieces.append(reader.end())
        assert "".join(piece.reasoning for piece in pieces) == "hm, let me see"
        assert "".join(piece.content for piece in pieces) == "Well. "
        assert [call.name for piece in pieces for call in piece.calls if call.id] == ["go"]
        assert reader.has_calls


@pytest.mark.parametrize(
    ("source", "prompt", "is_there", "is_certain"),
    [
        ("plain", "x", False, False),
        ("<think>", "x", True, False),
        ("<think>", "x<think>\n", True, True),
        ("<think>", "x<think>\n\n</think>\n\n", False, False),
    ],
)
def test_the_template_and_the_prompt_tell_of_reasoning(
    source: str, prompt: str, is_there: bool, is_certain: bool
) -> None:
    found = reasoning_in(source, prompt)
    assert (found is not None) is is_there
    assert (found is not None and found.is_certain) is is_certain
