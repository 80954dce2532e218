"""Which states of a lexeme need no mask of their own: those that differ only beyond what a token can read."""

from __future__ import annotations

from collections.abc import Callable

from grammars.machine.spelling import CharState
from grammars.regular.language import Language, Languages
from grammars.regular.shared import SharedState

__all__ = ["clipper"]


def clipper(languages: Languages) -> Callable[[CharState, int], CharState]:
    """The function that gives, for a language, one that is the same for whoever reads so many characters at most."""

    def clipped(chars: CharState, limit: int) -> CharState:
        if isinstance(chars, SharedState):
            return chars.clipped(limit)
        if not isinstance(chars, Language):
            raise TypeError(f"{chars!r} is no language")
        return languages.clipped(chars, limit)

    return clipped
