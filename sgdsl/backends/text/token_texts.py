"""TokenTexts: numbers for tokens of which a server only tells the text."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.handle import TokenLogprob
from sgdsl.backends.text.model import PieceLogprob

__all__ = ["TokenTexts"]


class TokenTexts:
    """Numbers texts in the order in which they are met. Written on one thread, read on any."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._texts: list[str] = []

    def id_of(self, text: str) -> int:
        """The text's number, the same each time."""
        if text not in self._ids:
            self._texts.append(text)
            self._ids[text] = len(self._texts) - 1
        return self._ids[text]

    def text_of(self, token: int) -> str:
        """The text a number stands for."""
        return self._texts[token]

    def logprobs(self, found: Sequence[PieceLogprob]) -> tuple[TokenLogprob, ...]:
        """Log probabilities with numbers in the place of texts."""
        return tuple(
            TokenLogprob(one.logprob, self.id_of(one.text), tuple((p, self.id_of(text)) for p, text in one.top))
            for one in found
        )
