from __future__ import annotations

from runtime.server.openai.answer_reader import AnswerReader
from runtime.server.openai.call_formats import HERMES
from runtime.server.openai.requests import Function, Tool
from runtime.server.openai.thinking import reasoning_in
from runtime.server.openai.tools import Toolbox


def test_reasoning_then_text_then_a_call() -> None:
    text = "<think>hm, let me see</think>\n\nWell. " + HERMES.written(("go", "{}"))
    toolbox = Toolbox((Tool(type="function", function=Function(name="go")),), "auto", False, True)
    for size in (1, 3, 1000):
        reader = AnswerReader(reasoning_in("<think>", "user"), toolbox)
        pieces = [reader.feed(text[place : place + size]) for place in range(0, len(text), size)]
        pieces.append(reader.end())
        assert "".join(piece.reasoning for piece in pieces) == "hm, let me see"
        assert "".join(piece.content for piece in pieces) == "Well. "
        assert [call.name for piece in pieces for call in piece.calls if call.id] == ["go"]
        assert reader.has_calls
