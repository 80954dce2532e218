"""Printer: a program's events as a reader sees them: coloured or plain text, or JSON lines."""

from __future__ import annotations

import json
import os
from typing import Protocol, TextIO

from sgdsl.events import Constant, Event, Generated, GeneratedEnd, RoleClosed, RoleOpened, RolledBack, written
from sgdsl.reading import added

__all__ = ["EventPrinter", "Printer", "TextPrinter", "Transcript", "wants_colour"]

GREEN, DIM, BOLD, RESET = "\x1b[32m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
ROLES = {"system": "\x1b[35m", "user": "\x1b[36m", "assistant": "\x1b[33m"}
UNPRINTABLE = {
    code: "\N{REPLACEMENT CHARACTER}" for code in [*range(32), 127, *range(128, 160)] if chr(code) not in "\n\t"
}
"""What a model writes must not steer the terminal."""


class Printer(Protocol):
    """Something that shows events."""

    def show(self, event: Event) -> None:
        """One event, shown at once."""

    def end(self, value: object) -> None:
        """The program has returned `value`."""

    def close(self) -> None:
        """Nothing more comes; the output is left tidy, also when the program has failed."""


class Transcript:
    """Shows nothing, and keeps the text: after a failure it is all there is.

    Attributes:
        text: so far.
    """

    def __init__(self) -> None:
        self.text = ""

    def show(self, event: Event) -> None:
        """One event, kept."""
        self.text = event.text if isinstance(event, RolledBack) else self.text + added(event)

    def end(self, value: object) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class EventPrinter:
    """One JSON object a line: `event`, and what belongs to it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: Event) -> None:
        """One event, flushed."""
        self._write(written(event))

    def end(self, value: object) -> None:
        """The closing event."""
        from sgdsl.cli.report import plain

        self._write({"event": "end", "value": plain(value)})

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, entry: dict[str, object]) -> None:
        print(json.dumps(entry, ensure_ascii=False), file=self._out, flush=True)


class TextPrinter:
    """The text as people read it: chat messages under their roles, generated text set apart by colour.

    Args:
        out: where to.
        colour: use ANSI colours.
    """

    def __init__(self, out: TextIO, *, colour: bool) -> None:
        self._out = out
        self._colour = colour
        self._at_line_start = True
        self._is_empty = True

    def show(self, event: Event) -> None:
        """One event, flushed."""
        match event:
            case RoleOpened(role=role):
                self._break_line()
                self._put(
                    ("" if self._is_empty else "\n") + self._styled(f"[{role}]", ROLES.get(role, "") + BOLD) + "\n"
                )
            case RoleClosed():
                self._break_line()
            case Constant(text=text):
                self._put(self._shown(text))
            case Generated(text=text):
                self._put(self._styled(self._shown(text), GREEN))
            case RolledBack(text=text):
                self._break_line()
                self._put(self._styled("[rolled back]", DIM) + "\n" + self._shown(text))
            case GeneratedEnd():
                return
        self._out.flush()

    def end(self, value: object) -> None:
        """The value, when there is one."""
        if value is not None:
            self._break_line()
            self._put(
                ("" if self._is_empty else "\n") + self._styled(f"=> {self._shown(_readable(value))}", BOLD) + "\n"
            )

    def close(self) -> None:
        """Ends the line."""
        self._break_line()
        self._out.flush()

    def _shown(self, text: str) -> str:
        return text.translate(UNPRINTABLE) if self._colour else text

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{RESET}" if self._colour and text else text

    def _put(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._is_empty = False
            self._at_line_start = text.removesuffix(RESET).endswith("\n")

    def _break_line(self) -> None:
        if not self._at_line_start:
            self._put("\n")


def _readable(value: object) -> str:
    """A returned value: text as it is, anything else as indented JSON."""
    if isinstance(value, str):
        return value
    from sgdsl.cli.report import plain

    compact = json.dumps(plain(value), ensure_ascii=False)
    return compact if len(compact) <= 100 else json.dumps(plain(value), ensure_ascii=False, indent=2)


def wants_colour(out: TextIO) -> bool:
    """Whether colours can be seen there and nobody has asked for none."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
