"""Reasoning: how models write what they think before they answer, and where the one ends and the other begins."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Reasoning", "Splitter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How a text divides into reasoning and answer.

    Attributes:
        begin: the text reasoning begins with; it may be missing where the prompt ends with it already.
        end: the text it ends with.
        is_certain: whatever comes before `end` is reasoning, even without `begin`.
        is_exact: the answer begins with the very character behind `end`; otherwise blanks there are dropped.
    """

    begin: str = "<think>"
    end: str = "</think>"
    is_certain: bool = False
    is_exact: bool = False

    def split(self, text: str) -> tuple[str, str]:
        """The reasoning and the answer of a whole text."""
        splitter = Splitter(self)
        pairs = (splitter.feed(text), splitter.end())
        return pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1]


class Splitter:
    """Splits a text that comes piece by piece; the outcome does not depend on where the pieces end."""

    def __init__(self, reasoning: Reasoning) -> None:
        self._rules = reasoning
        self._held = ""
        self._has_begun = False
        self._is_answer = False
        self._drops_blanks = False

    def feed(self, piece: str) -> tuple[str, str]:
        """What a further piece adds to the reasoning and to the answer; what may still be part of a marker waits."""
        self._held += piece
        if not self._has_begun and not self._begin():
            return "", ""
        thought = "" if self._is_answer else self._think()
        return thought, self._answer() if self._is_answer else ""

    def end(self) -> tuple[str, str]:
        """What is left when nothing more comes."""
        held, self._held = self._held, ""
        if self._is_answer:
            return "", ""
        if self._has_begun or self._rules.is_certain:
            return (held if self._has_begun else held.lstrip()).rstrip(), ""
        return "", held

    def _begin(self) -> bool:
        """Whether it is clear by now how the text begins."""
        rules, text = self._rules, self._held.lstrip()
        if text.startswith(rules.begin):
            self._held, self._drops_blanks = text[len(rules.begin) :], True
        elif rules.begin.startswith(text):
            return False
        elif rules.is_certain:
            self._drops_blanks = True
        else:
            self._is_answer = True
        self._has_begun = True
        return True

    def _think(self) -> str:
        self._trim()
        before, marker, after = self._held.partition(self._rules.end)
        if marker:
            self._held, self._is_answer, self._drops_blanks = after, True, not self._rules.is_exact
            return before.rstrip()
        end = self._rules.end
        begun = max(size for size in range(len(end)) if self._held.endswith(end[:size]))
        sure = self._held[: len(self._held) - begun].rstrip()
        self._held = self._held[len(sure) :]
        return sure

    def _answer(self) -> str:
        self._trim()
        text, self._held = self._held, ""
        return text

    def _trim(self) -> None:
        """Drops blanks where a part begins."""
        if self._drops_blanks:
            self._held = self._held.lstrip()
            self._drops_blanks = not self._held
