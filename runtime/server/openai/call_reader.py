"""CallReader: takes the calls out of a text that comes piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import uuid4

from runtime.server.openai.tools import CallFormat

__all__ = ["CallDelta", "CallReader"]


@dataclass(frozen=True, slots=True)
class CallDelta:
    """What a piece adds to a call; its id and name come with the first."""

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


class CallReader:
    """Splits a text into what is said and what is called. The outcome does not depend on where the pieces end.

    A call is read as its grammar writes it; something else behind the trigger is text.
    """

    def __init__(self, form: CallFormat) -> None:
        self._form = form
        self._held = ""
        self._is_inside = False
        self._spaces = ""
        self.num_calls = 0

    def feed(self, piece: str) -> tuple[str, list[CallDelta]]:
        """What a further piece adds to the text, and to calls."""
        self._held += piece
        texts: list[str] = []
        deltas: list[CallDelta] = []
        while self._read(texts, deltas):
            pass
        return "".join(texts), _joined(deltas)

    def end(self) -> tuple[str, list[CallDelta]]:
        """What is left when nothing more comes."""
        held, self._held = self._held, ""
        if self._is_inside:
            return "", ([CallDelta(self.num_calls - 1, held)] if held else [])
        texts: list[str] = []
        self._say(held, texts)
        return "".join(texts), []

    def _read(self, texts: list[str], deltas: list[CallDelta]) -> bool:
        """Takes one step; False where more text is needed for the next."""
        if self._is_inside:
            return self._read_arguments(deltas)
        before, trigger, _ = self._held.partition(self._form.trigger)
        if not trigger:
            sure = len(self._held) - _overlap(self._held, self._form.trigger)
            self._say(self._held[:sure], texts)
            self._held = self._held[sure:]
            return False
        self._say(before, texts)
        self._held = self._held[len(before) :]
        return self._read_begin(texts, deltas)

    def _read_begin(self, texts: list[str], deltas: list[CallDelta]) -> bool:
        form = self._form
        if not self._held.startswith(form.open):
            if form.open.startswith(self._held):
                return False
            self._say(form.trigger, texts)
            self._held = self._held[len(form.trigger) :]
            return True
        name, middle, rest = self._held[len(form.open) :].partition(form.middle)
        if not middle:
            return False
        self._held, self._is_inside, self._spaces = rest, True, ""
        deltas.append(CallDelta(self.num_calls, "", f"call_{uuid4().hex[:24]}", name))
        self.num_calls += 1
        return True

    def _read_arguments(self, deltas: list[CallDelta]) -> bool:
        arguments, close, rest = self._held.partition(self._form.close)
        if not close:
            sure = len(self._held) - _overlap(self._held, self._form.close)
            arguments, rest = self._held[:sure], self._held[sure:]
        if arguments:
            deltas.append(CallDelta(self.num_calls - 1, arguments))
        self._held = rest
        self._is_inside = not close
        return bool(close)

    def _say(self, text: str, texts: list[str]) -> None:
        """Says a text, without the blanks that only keep calls apart."""
        if self.num_calls:
            whole = self._spaces + text
            text = whole.rstrip()
            self._spaces = whole[len(text) :]
        texts.append(text)


def _joined(deltas: list[CallDelta]) -> list[CallDelta]:
    """One delta for a call: clients look at no more of an event."""
    found: list[CallDelta] = []
    for delta in deltas:
        if found and found[-1].index == delta.index:
            found[-1] = replace(found[-1], arguments=found[-1].arguments + delta.arguments)
        else:
            found.append(delta)
    return found


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of the text may be the beginning of the mark."""
    return next((size for size in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:size])), 0)
