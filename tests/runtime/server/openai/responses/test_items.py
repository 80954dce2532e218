from __future__ import annotations

from runtime.server.openai.answer_reader import Piece
from runtime.server.openai.call_reader import CallDelta
from runtime.server.openai.responses.items import Items


def test_reasoning_text_and_calls_are_items_of_their_own() -> None:
    items = Items()
    events = items.add(Piece("hm", "Well", (CallDelta(0, '{"a', "c0", "f"),)))
    events += items.add(Piece(calls=(CallDelta(0, '": 1}'), CallDelta(1, "{}", "c1", "g"))))
    events += items.end(is_whole=True)
    assert [item["type"] for item in items.output] == ["reasoning", "message", "function_call", "function_call"]
    assert {item["status"] for item in items.output} == {"completed"}
    assert [item.get("arguments") for item in items.output[2:]] == ['{"a": 1}', "{}"]
    for index, item in enumerate(items.output):
        own = [event for event in events if event["output_index"] == index]
        assert own[0]["type"] == "response.output_item.added"
        assert own[0]["item"]["status"] == "in_progress"
        assert own[-1] == {"type": "response.output_item.done", "output_index": index, "item": item}
        assert {event["item_id"] for event in own[1:-1]} == {item["id"]}
    assert [event["output_index"] for event in events] == sorted(event["output_index"] for event in events)


def test_an_answer_without_anything_is_an_empty_message_and_one_cut_off_is_incomplete() -> None:
    items = Items()
    items.end(is_whole=False)
    (item,) = items.output
    assert (item["type"], item["status"], item["content"][0]["text"]) == ("message", "incomplete", "")
