"""CallReader: takes the calls out of a text that comes piece by piece."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from runtime.server.openai.call_formats import CallFormat
from runtime.server.openai.json_end import JsonEnd

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

    Args:
        form: how calls are written.
        names: of what can be called.
    """

    def __init__(self, form: CallFormat, names: Collection[str]) -> None:
        self._form = form
        begins = {f"{opened}{name}{form.middle}": name for opened in form.opens for name in names}
        self._first = {form.start + begin: name for begin, name in begins.items()}
        self._next = {form.close + form.between + begin: name for begin, name in begins.items()}
        self._triggers = form.opens if form.other_opens else (form.trigger,)
        self._held = ""
        self._take = self._take_text
        self._end: JsonEnd = JsonEnd()
        self._spaces = ""
        self.num_calls = 0

    def feed(self, piece: str) -> tuple[str, list[CallDelta]]:
        """What a further piece adds to the text, and to calls."""
        self._held += piece
        texts: list[str] = []
        deltas: list[CallDelta] = []
        while self._take(texts, deltas):
            pass
        return "".join(texts), _joined(deltas)

    def end(self) -> tuple[str, list[CallDelta]]:
        """What is left when nothing more comes."""
        held, self._held = self._held, ""
        if self._take != self._take_text:  # what is held began the end of a call, or the next one
            return "", []
        texts: list[str] = []
        self._say(held, texts)
        return "".join(texts), []

    # Each step takes something from what is held; False where more text is needed for the next.

    def _take_text(self, texts: list[str], deltas: list[CallDelta]) -> bool:
        places = [place for trigger in self._triggers if (place := self._held.find(trigger)) >= 0]
        if not places:
            sure = len(self._held) - max(_overlap(self._held, trigger) for trigger in self._triggers)
            self._say(self._held[:sure], texts)
            self._held = self._held[sure:]
            return False
        self._say(self._held[: min(places)], texts)
        self._held = self._held[min(places) :]
        if self._begin(self._first, deltas):
            return True
        if any(begin.startswith(self._held) for begin in self._first):
            return False
        self._say(self._held[0], texts)
        self._held = self._held[1:]
        return True

    def _take_arguments(self, texts: list[str], deltas: list[CallDelta]) -> bool:
        size = self._end.find(self._held)
        arguments = self._held[:size]
        if arguments:
            deltas.append(CallDelta(self.num_calls - 1, arguments))
        self._held = self._held[len(arguments) :]
        if size is None:
            return False
        self._take = self._take_behind
        return True

    def _take_behind(self, texts: list[str], deltas: list[CallDelta]) -> bool:
        """Behind a call's arguments: another call follows, or the calls end here."""
        if self._begin(self._next, deltas):
            return True
        end = self._form.close + self._form.end
        if any(text.startswith(self._held) for text in (*self._next, end) if text != self._held):
            return False
        self._held = self._held.removeprefix(end)
        self._take = self._take_text
        return True

    def _begin(self, begins: Mapping[str, str], deltas: list[CallDelta]) -> bool:
        """Takes the beginning of a call, if one is held."""
        found = next((begin for begin in begins if self._held.startswith(begin)), None)
        if found is None:
            return False
        self._held, self._spaces = self._held[len(found) :], ""
        deltas.append(CallDelta(self.num_calls, "", self._form.new_id(), begins[found]))
        self.num_calls += 1
        self._take, self._end = self._take_arguments, JsonEnd()
        return True

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
