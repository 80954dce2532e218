"""Items: what a model writes, as the output of a response, and the events that tell of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from runtime.server.openai.answer_reader import Piece
from runtime.server.openai.call_reader import CallDelta

__all__ = ["Items"]

Event = dict[str, Any]


class Items:
    """The output as it grows: reasoning, a message, calls, each an item. Events say what changed."""

    def __init__(self) -> None:
        self.output: list[dict[str, Any]] = []
        self._open: tuple[str, int] | None = None

    def add(self, piece: Piece) -> list[Event]:
        """More of the answer."""
        events: list[Event] = []
        if piece.reasoning:
            events += [*self._turn(("reasoning", 0)), self._grow(piece.reasoning)]
        if piece.content:
            events += [*self._turn(("message", 0)), self._grow(piece.content)]
        for delta in piece.calls:
            events += self._turn(("function_call", delta.index), delta)
            if delta.arguments:
                self._item["arguments"] += delta.arguments
                events.append(self._event("function_call_arguments.delta", delta=delta.arguments))
        return events

    def end(self, *, is_whole: bool) -> list[Event]:
        """There is no more; an answer without anything is an empty message."""
        events = [] if self.output else self._turn(("message", 0))
        return events + self._close("completed" if is_whole else "incomplete")

    @property
    def _item(self) -> dict[str, Any]:
        return self.output[-1]

    def _turn(self, kind: tuple[str, int], delta: CallDelta | None = None) -> list[Event]:
        """Goes on with an item of this kind: the open one, or a new one."""
        if self._open == kind:
            return []
        events = self._close("completed") if self._open is not None else []
        self._open = kind
        if kind[0] == "function_call" and delta is not None:
            self.output.append(_call(delta))
            return [*events, self._added()]
        self.output.append(_message() if kind[0] == "message" else _reasoning())
        events.append(self._added())
        part = {"type": self._part_type, "text": "", **({"annotations": []} if kind[0] == "message" else {})}
        self._item["content"].append(part)
        return [*events, self._event("content_part.added", content_index=0, part=dict(part))]

    @property
    def _part_type(self) -> str:
        return "output_text" if self._item["type"] == "message" else "reasoning_text"

    def _grow(self, text: str) -> Event:
        self._item["content"][0]["text"] += text
        more: dict[str, Any] = {"logprobs": []} if self._part_type == "output_text" else {}
        return self._event(f"{self._part_type}.delta", content_index=0, delta=text, **more)

    def _close(self, status: str) -> list[Event]:
        item = self._item
        item["status"] = status
        self._open = None
        done = {"type": "response.output_item.done", "output_index": len(self.output) - 1, "item": item}
        if item["type"] == "function_call":
            arguments = {"name": item["name"], "arguments": item["arguments"]}
            return [self._event("function_call_arguments.done", **arguments), done]
        part = item["content"][0]
        more: dict[str, Any] = {"logprobs": []} if self._part_type == "output_text" else {}
        return [
            self._event(f"{self._part_type}.done", content_index=0, text=part["text"], **more),
            self._event("content_part.done", content_index=0, part=part),
            done,
        ]

    def _added(self) -> Event:
        item = {name: list(one) if isinstance(one, list) else one for name, one in self._item.items()}
        return {"type": "response.output_item.added", "output_index": len(self.output) - 1, "item": item}

    def _event(self, kind: str, **fields: Any) -> Event:
        place = {"item_id": self._item["id"], "output_index": len(self.output) - 1}
        return {"type": f"response.{kind}", **place, **fields}


def _message() -> dict[str, Any]:
    item = {"id": f"msg_{uuid4().hex}", "type": "message", "role": "assistant", "status": "in_progress"}
    return {**item, "content": []}


def _reasoning() -> dict[str, Any]:
    return {"id": f"rs_{uuid4().hex}", "type": "reasoning", "status": "in_progress", "summary": [], "content": []}


def _call(delta: CallDelta) -> dict[str, Any]:
    return {
        "id": f"fc_{uuid4().hex}",
        "type": "function_call",
        "status": "in_progress",
        "call_id": delta.id,
        "name": delta.name,
        "arguments": "",
    }
