"""Spelling: the texts of tokens, so that together they are the text they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["Spelling", "clean"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """The text as UTF-8 can hold it: what is no character becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Spelling:
    """Remembers tokens' texts.

    Args:
        token_text: the text of one token, with replacement characters where it begins or ends inside a character.
    """

    def __init__(self, token_text: Callable[[int], str]) -> None:
        self._token_text = token_text
        self._texts: dict[int, str] = {}

    def of(self, ids: Sequence[int], whole: str | None = None) -> list[str]:
        """The texts of tokens; where `whole`, their text together, is known, split characters come out right."""
        texts = [self._one(token) for token in ids]
        if whole is None or "".join(texts) == whole:
            return texts
        return _aligned(texts, whole) or texts

    def _one(self, token: int) -> str:
        if token not in self._texts:
            try:
                self._texts[token] = clean(self._token_text(token))
            except Exception:  # a backend that cannot say is no reason to fail a program
                self._texts[token] = ""
        return self._texts[token]


def _aligned(texts: Sequence[str], whole: str) -> list[str] | None:
    """Gives the last token of a split character all of it, and those before it nothing; None where that fails."""
    aligned: list[str] = []
    place, held = 0, 0  # what of `whole` is spelled; tokens waiting for the end of a character
    for text in texts:
        if _REPLACEMENT in text and not whole.startswith(text, place):
            held += 1
            continue
        found = whole.find(text, place) if held else (place if whole.startswith(text, place) else -1)
        if found < 0:
            return None
        if held:
            aligned += [""] * (held - 1) + [whole[place:found]]
        aligned.append(text)
        place, held = found + len(text), 0
    if held:
        return aligned + [""] * (held - 1) + [whole[place:]]
    return aligned if place == len(whole) else None
