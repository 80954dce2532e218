"""Explanation: where a text leaves a grammar, and what was allowed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grammars import Matcher

__all__ = ["Explanation", "explain"]

NAMES = {0x09: "tab", 0x0A: "newline", 0x0D: "carriage return", 0x20: "space"}
END = "the end"
WIDTH = 70
"""Characters of a line shown before the place."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a text.

    Attributes:
        byte: how many bytes were read before it failed; all of them when it did not.
        line, column: of that place, from 1, in characters.
        allowed: what could have come there, in words.
        shown: the line up to the place, and what stands there.
    """

    accepted: bool
    byte: int
    line: int
    column: int
    allowed: tuple[str, ...]
    shown: tuple[str, str]

    def report(self) -> str:
        """As people read it: the line, a caret, and what was allowed."""
        if self.accepted:
            return f"accepted: all {self.byte} bytes"
        before, after = self.shown
        what = "not allowed" if after else "ends too early"
        place = f"line {self.line}, column {self.column} (byte {self.byte})"
        return f"{what} at {place}:\n  {before}{after}\n  {' ' * len(before)}^\nallowed: {', '.join(self.allowed)}"


def explain(matcher: Matcher, text: str) -> Explanation:
    """Follows `text` byte by byte, each byte being a token, as far as the grammar goes."""
    data = text.encode(errors="surrogateescape")
    read = 0
    while read < len(data) and matcher.accept(data[read]):
        read += 1
    accepted = read == len(data) and matcher.is_complete()
    matcher.rollback(read - _whole_characters(text, read))  # what was allowed is told from where a character begins
    # A character may break off in its middle; it is shown whole.
    before = data[:read].decode(errors="ignore")
    line_begin = before.rfind("\n") + 1
    after = text[len(before) :].split("\n")[0] or ("⏎" if len(before) < len(text) else "")
    return Explanation(
        accepted=accepted,
        byte=read,
        line=before.count("\n") + 1,
        column=len(before) - line_begin + 1,
        allowed=() if accepted else _allowed(matcher),
        shown=(_plain(before[line_begin:])[-WIDTH:], _plain(after)[:WIDTH]),
    )


def _whole_characters(text: str, num_bytes: int) -> int:
    """How many of the first bytes of a text are those of whole characters."""
    whole = 0
    for char in text:
        size = len(char.encode(errors="surrogateescape"))
        if whole + size > num_bytes:
            break
        whole += size
    return whole


def _allowed(matcher: Matcher) -> tuple[str, ...]:
    """What may come next, in words: a forced text whole, else characters and ranges of them."""
    forced: bytes = getattr(matcher, "forced_bytes", bytes)()
    characters = forced.decode(errors="ignore")  # the last one may be forced in its first bytes alone
    if len(forced) > 1 and characters:
        return (f"only {_plain(characters)!r}",)
    found = [byte for byte in range(256) if matcher.fork().accept(byte)]
    words = [NAMES[byte] for byte in found if byte in NAMES]
    words += _ranges([byte for byte in found if 0x20 < byte < 0x7F])
    if any((byte < 0x20 and byte not in NAMES) or byte == 0x7F for byte in found):
        words.append("control characters")
    if any(byte >= 0x80 for byte in found):
        words.append("characters beyond ASCII")
    return (*words, *([END] if matcher.is_complete() else [])) or ("nothing",)


def _ranges(bytes_found: Sequence[int]) -> list[str]:
    """Runs of four and more as ranges."""
    words: list[str] = []
    run: list[int] = []
    for byte in [*bytes_found, 0x1000]:
        if run and byte != run[-1] + 1:
            words += [f"{chr(run[0])} to {chr(run[-1])}"] if len(run) > 3 else map(chr, run)
            run = []
        run.append(byte)
    return words


def _plain(text: str) -> str:
    """With nothing in it that could steer the terminal or shift the caret."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
