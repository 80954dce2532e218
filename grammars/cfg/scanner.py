"""Tokens of a grammar text, and a place in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from grammars.errors import GrammarLimit, InvalidSpec

__all__ = ["MAX_TEXT", "Scanner", "Token"]

MAX_TEXT = 1_000_000
"""Longest grammar text that is read, in characters."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: its kind is the name of the group it matched; `end` for the end of the text."""

    kind: str
    text: str
    offset: int


class Scanner:
    """Reads a grammar text token by token, one ahead.

    Args:
        language: what the text is written in, for messages.
        text: the grammar.
        tokens: a pattern of named alternatives; what matches group `skip` is left out.

    Raises:
        GrammarLimit: the text is too long.
    """

    def __init__(self, language: str, text: str, tokens: re.Pattern[str]) -> None:
        if len(text) > MAX_TEXT:
            raise GrammarLimit(f"{language}: {len(text)} characters, at most {MAX_TEXT} are read")
        self.text = text
        self.offset = 0
        self._language = language
        self._pattern = tokens
        self._next: Token | None = None

    def peek(self) -> Token:
        """The next token, which stays the next one.

        Raises:
            InvalidSpec: nothing that belongs here follows.
        """
        if self._next is None:
            self._next = self._read()
        return self._next

    def take(self, *kinds: str) -> Token | None:
        """The next token if it is of one of these kinds."""
        token = self.peek()
        if token.kind not in kinds:
            return None
        self._next = None
        return token

    def expect(self, *kinds: str) -> Token:
        """The next token.

        Raises:
            InvalidSpec: it is of no such kind.
        """
        token = self.take(*kinds)
        if token is None:
            self.fail(self.peek(), f"expected {' or '.join(kinds)}")
        return token

    def jump(self, offset: int) -> None:
        """Goes on reading at `offset`."""
        self._next = None
        self.offset = offset

    def where(self, offset: int) -> str:
        """A place as line and column, counted from 1."""
        line = self.text.count("\n", 0, offset) + 1
        return f"line {line}, column {offset - self.text.rfind(chr(10), 0, offset)}"

    def fail(self, token: Token, reason: str) -> NoReturn:
        """Raises InvalidSpec about a token."""
        shown = "the end" if token.kind == "end" else repr(token.text[:40])
        raise InvalidSpec(f"{self._language}: {self.where(token.offset)}: {reason}, found {shown}")

    def _read(self) -> Token:
        while self.offset < len(self.text):
            match = self._pattern.match(self.text, self.offset)
            if match is None or match.lastgroup is None or match.end() == self.offset:
                self.fail(Token("unknown", self.text[self.offset], self.offset), "cannot be read")
            offset, self.offset = self.offset, match.end()
            if match.lastgroup != "skip":
                return Token(match.lastgroup, match.group(), offset)
        return Token("end", "", len(self.text))
