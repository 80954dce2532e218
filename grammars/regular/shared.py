"""Languages that many grammars have: their derivatives are found out once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import RLock
from typing import TypeAlias

from grammars.regular.language import Language, Languages

__all__ = ["SharedLanguages", "SharedState"]

MOST_STATES = 20_000
"""So many states are kept; then all are forgotten by who begins anew."""


class _Generation:
    """An arena, and what was made in it, until there is so much that it is left to who holds it."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.languages = Languages()
        self.states: dict[Language, SharedState] = {}
        self.begun: dict[Hashable, SharedState] = {}

    def state(self, language: Language) -> SharedState:
        found = self.states.get(language)
        if found is None:
            found = self.states[language] = SharedState(self, language)
        return found


class SharedState:
    """A state of an automaton over characters that any thread may ask; one object for each language."""

    __slots__ = ("_generation", "_language", "_moves", "nullable")

    def __init__(self, generation: _Generation, language: Language) -> None:
        self._generation = generation
        self._language = language
        self.nullable = language.nullable
        self._moves: Moves | None = None

    def moves(self) -> Moves:
        """Ascending, disjoint ranges of code points and the state behind each, from which some text is accepted."""
        if self._moves is None:
            with self._generation.lock:
                wrap = self._generation.state
                self._moves = tuple((low, high, wrap(after)) for low, high, after in self._language.moves())
        return self._moves

    def clipped(self, limit: int) -> SharedState:
        """A state that is the same for anybody who reads at most `limit` characters, as `Languages.clipped` says."""
        with self._generation.lock:
            return self._generation.state(self._generation.languages.clipped(self._language, limit))

    @property
    def name(self) -> str | None:
        """What its language is called in every arena."""
        with self._generation.lock:
            return self._generation.languages.name_of(self._language)


Moves: TypeAlias = tuple[tuple[int, int, SharedState], ...]


class SharedLanguages:
    """The first states of languages, by what they were made from. Thread-safe."""

    def __init__(self) -> None:
        self._current = _Generation()

    def state(self, title: Hashable, make: Callable[[Languages], Language]) -> SharedState:
        """The first state of a language.

        Args:
            title: what it is made from; equal titles are the same language.
            make: makes it in an arena.
        """
        generation = self._current
        found = generation.begun.get(title)
        if found is None:
            if len(generation.states) > MOST_STATES:
                generation = self._current = _Generation()
            with generation.lock:
                found = generation.begun[title] = generation.state(make(generation.languages))
        return found
