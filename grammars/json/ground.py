"""What all JSON documents have in common: strings and numbers of any content, what stands between values, any value.

Made once for a vocabulary and a whitespace policy; every grammar begins with a copy.
"""

from __future__ import annotations

from grammars.json.name_trie import NAME, NEXT
from grammars.json.node import Node
from grammars.machine.layout import CLOSE
from grammars.machine.lexeme import Lexemes, Spelling
from grammars.machine.machine import Machine
from grammars.machine.moves import goto, label_move
from grammars.machine.spelling import CharState
from grammars.machine.strings import any_name, any_string
from grammars.regular.language import Language
from grammars.regular.shared import SharedLanguages
from grammars.spec import Whitespace

__all__ = ["JsonGround"]

SPACES = b" \n\r\t"
MOST_SPACES = 8
"""Longest run of whitespace under the flexible policy: without an end, models run away."""
CLOSE_BRACE, CLOSE_BRACKET, COMMA, QUOTE, SPACE = b'}]," '


class JsonGround:
    """States of JSON that depend on no schema.

    Args:
        machine: where they are made.
        whitespace: see `grammars.spec.JsonSchema`.
        shared: languages that many grammars have.
    """

    def __init__(self, machine: Machine, whitespace: Whitespace, shared: SharedLanguages) -> None:
        self.machine = machine
        self.whitespace = whitespace
        self._shared = shared
        self.spelling: Spelling = "json" if whitespace == "flexible" else "canonical"
        self.any_string = any_string(machine)
        self.any_name = any_name(machine)
        self._numbers = Lexemes(machine, "plain")
        self._beginnings: dict[Language, dict[int, int]] = {}
        self._spaced: dict[int, int] = {}
        self.values: dict[Node, int] = {}
        """States in which values of constraints begin that mean the same in every schema."""
        self.free_object = self.free_array = 0
        """The frames of an object and an array that take anything; 0 where they are not made beforehand."""
        self.literals = {text[0]: goto(machine.literal(text[1:])) for text in (b"null", b"true", b"false")}
        self.after_property = self._static({COMMA: label_move(NEXT), CLOSE_BRACE: CLOSE})
        self.after_item = self._static({COMMA: label_move(NEXT), CLOSE_BRACKET: CLOSE})
        self.open_object = self._static({QUOTE: label_move(NAME), CLOSE_BRACE: CLOSE})
        self.open_array = self._static({CLOSE_BRACKET: CLOSE})

    def on(self, machine: Machine) -> JsonGround:
        """The same in a machine that began as a copy of this one's."""
        other = object.__new__(JsonGround)
        other.__dict__.update(self.__dict__)
        other.machine = machine
        other.any_string, other.any_name = self.any_string.on(machine), self.any_name.on(machine)
        other._numbers = self._numbers.on(machine)
        other._beginnings, other._spaced = self._beginnings.copy(), self._spaced.copy()
        return other

    def number_moves(self, language: Language) -> dict[int, int]:
        """The moves with which the numbers of a language begin."""
        found = self._beginnings.get(language)
        if found is None:
            state = self._numbers.state(self.shared_state(language))
            found = self._beginnings[language] = self.machine.moves_of(state)
        return found

    def shared_state(self, language: Language) -> CharState:
        """The state that does as a language for all grammars, where many have it; else the language."""
        title = language.arena.titles.get(language)
        return language if title is None else self._shared.state(*title)

    def _static(self, edges: dict[int, int]) -> int:
        state = self.machine.state()
        self.machine.set_edges(state, edges)
        return self.spaces(state)

    def spaces(self, state: int) -> int:
        """The state, with whitespace before what it reads where the policy allows any."""
        if self.whitespace != "flexible":
            return state
        found = self._spaced.get(state)
        if found is None:
            found = state
            for _ in range(MOST_SPACES):
                found = self._before(found, state)
            self._spaced[state] = found
        return found

    def _before(self, following: int, otherwise: int) -> int:
        """A state that reads one space and is `following` then, or does what `otherwise` does."""

        def expand(state: int) -> None:
            self.machine.ensure(otherwise)
            self.machine.set_edges(state, dict.fromkeys(SPACES, goto(following)), otherwise)

        return self.machine.state(0, expand)

    def separated(self, byte: int | None, state: int) -> int:
        """Reads a separator (None: it was read already), what the policy puts behind it, and is in `state` then."""
        behind = self.spaces(state)
        if self.whitespace == "fixed":
            behind = self.machine.state()
            self.machine.set_edges(behind, {SPACE: goto(state)})
        if byte is None:
            return behind
        before = self.machine.state()
        self.machine.set_edges(before, {byte: goto(behind)})
        return self.spaces(before)
