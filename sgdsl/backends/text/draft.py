"""Draft: text written beyond what was asked for, from which later gens are served as long as the program follows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runtime.sampling.stop import StopMatcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.sampling.params import SamplingParams

__all__ = ["Draft", "Taken", "settings_of"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a gen got out of a draft."""

    pieces: tuple[str, ...]
    finish_reason: str
    matched_stop: str | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


def settings_of(params: SamplingParams) -> SamplingParams:
    """How a text was sampled, without where it ends: what two gens must share to be served from one call."""
    return replace(params, max_new_tokens=None, min_new_tokens=0, stop=(), stop_regex=None)


class Draft:
    """A text whose beginning is taken away, by gens and by constant text alike.

    Args:
        pieces: the text as it came; each counts as one token.
        finish_reason: "stop" where the model had no more to say, "length" where it was cut off.
        settings: how it was sampled.
    """

    def __init__(self, pieces: Iterable[str], finish_reason: str, settings: SamplingParams) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.finish_reason = finish_reason
        self.settings = settings

    def copy(self) -> Draft:
        """Another one of the same text."""
        return Draft(self._pieces, self.finish_reason, self.settings)

    def text(self) -> str:
        """What is left."""
        return "".join(self._pieces)

    def follow(self, text: str) -> bool:
        """Takes constant text away; False, and nothing is taken, where the draft goes on differently."""
        if not self.text().startswith(text):
            return False
        self._drop(len(text))
        return True

    def take(self, params: SamplingParams, *, is_last: bool) -> Taken | None:
        """Takes a gen's text away, up to its stop, which stays.

        Args:
            is_last: there is nothing more to be had, so that a cut-off text is what the gen gets.

        Returns:
            None, and nothing is taken, where there is nothing or the draft does not reach as far as the gen does.
        """
        matcher = StopMatcher(params.stop, params.stop_regex)
        emitted: list[str] = []
        limit = params.max_new_tokens
        within = self._pieces if limit is None else self._pieces[:limit]
        for piece in within:
            found = matcher.push(piece)
            emitted.append(found.emit)
            if found.matched is not None:
                return self._taken(emitted, "stop", found.matched)
        emitted.append(matcher.flush())
        if limit is not None and (len(within) < len(self._pieces) or len(within) == limit):
            return self._taken(emitted, "length", None)
        if is_last or (self._pieces and self.finish_reason == "stop"):
            return self._taken(emitted, self.finish_reason, None)
        return None

    def _taken(self, emitted: Sequence[str], finish_reason: str, matched: str | None) -> Taken:
        pieces = tuple(text for text in emitted if text)
        self._drop(sum(map(len, pieces)))
        return Taken(pieces, finish_reason, matched)

    def _drop(self, num_characters: int) -> None:
        while self._pieces and num_characters >= len(self._pieces[0]):
            num_characters -= len(self._pieces.pop(0))
        if num_characters:
            self._pieces[0] = self._pieces[0][num_characters:]
