"""The names of one object as states: a trie of the declared ones over the lexemes of the undeclared ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from grammars.json.forms import KeyClasses
from grammars.machine.lexeme import Lexemes
from grammars.machine.machine import Machine
from grammars.machine.moves import label_move
from grammars.machine.spelling import CharState, Moves
from grammars.machine.strings import ANY_NAME
from grammars.regular.language import Language, Languages

__all__ = ["FIRST_NAME", "NAME", "NEXT", "NameLabels", "NameStates", "spelled"]

NEXT, NAME, FIRST_NAME = 0, 1, ANY_NAME + 1
"""Labels: on to the next property; into its name; the first declared name. ANY_NAME is before that."""
QUOTE = 0x22


def spelled(text: str) -> bytes:
    """A string as JSON writes it in its canonical spelling, without the opening quote."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")[1:]


class NameLabels:
    """Labels of the machine for the labels of an object's names: declared names in the order of their bytes.

    Args:
        keys: how the names are told apart.
        everything: the language that, as the only class, has the label `ANY_NAME` in every object.
    """

    def __init__(self, keys: KeyClasses, everything: object) -> None:
        texts = [spelled(name) for name in keys.names]
        self.order = sorted(range(len(texts)), key=texts.__getitem__)
        """The place in `keys.names` of every label from FIRST_NAME on."""
        self.texts = [texts[place] for place in self.order]
        """What a name is spelled like, its closing quote included, in the order of labels."""
        self.has_any = len(keys.classes) == 1 and keys.classes[0] is everything
        names = len(texts)
        self.class_labels = [ANY_NAME] if self.has_any else [FIRST_NAME + names + j for j in range(len(keys.classes))]
        self.count = FIRST_NAME + names + (0 if self.has_any else len(keys.classes))
        others = range(names, names + len(keys.classes))
        self._originals = [names, *self.order] if self.has_any else [others.stop, *self.order, *others]

    def original(self, label: int) -> int:
        """The label in `ObjectState`'s terms; `label` is none of NEXT and NAME."""
        return self._originals[label - ANY_NAME]

    def alive(self, mask: int) -> list[bool]:
        """For each label whether it may come; `mask` says so in `ObjectState`'s terms."""
        some = mask != 0
        return [some, some, *[mask >> original & 1 == 1 for original in self._originals]]


class _ClassState:
    """Where an undeclared name is in the languages of the classes it may still belong to."""

    __slots__ = ("_made", "_moves", "parts")

    def __init__(self, parts: tuple[tuple[int, CharState], ...], made: dict[object, _ClassState]) -> None:
        self.parts = parts
        self._made = made
        self._moves: Moves | None = None

    @property
    def nullable(self) -> bool:
        return any(state.nullable for _, state in self.parts)

    def label(self) -> int:
        """The label of the class the name belongs to if it ends here."""
        return next(label for label, state in self.parts if state.nullable)

    def moves(self) -> Moves:
        if self._moves is None:
            self._moves = tuple(self._merged())
        return self._moves

    def _merged(self) -> list[tuple[int, int, CharState]]:
        pieces = [(low, high, label, after) for label, state in self.parts for low, high, after in state.moves()]
        edges = sorted({edge for low, high, _, _ in pieces for edge in (low, high + 1)})
        merged: list[tuple[int, int, CharState]] = []
        for low, until in pairwise(edges):
            parts = tuple((label, after) for first, last, label, after in pieces if first <= low and until - 1 <= last)
            if not parts:
                continue
            state = self._made.setdefault(parts, _ClassState(parts, self._made))
            if merged and merged[-1][2] is state and merged[-1][1] == low - 1:
                merged[-1] = (merged[-1][0], until - 1, state)
            else:
                merged.append((low, until - 1, state))
        return merged


class NameStates:
    """Makes the states of names, each behind the opening quote.

    Args:
        machine: where they are made.
        any_name: names of any content.
        languages: whose `everything` is that content.
    """

    def __init__(self, machine: Machine, any_name: Lexemes, languages: Languages) -> None:
        self._machine = machine
        self._languages = languages
        self._any = any_name
        self._roots: dict[tuple[KeyClasses, tuple[int, ...]], int] = {}

    def root(self, keys: KeyClasses, labels: NameLabels, classes: Sequence[int]) -> int:
        """The state in which a name begins.

        Args:
            keys: how the names are told apart.
            labels: their labels.
            classes: which labels of classes may come; the names that may are asked of the frame.
        """
        key = (keys, tuple(classes))
        found = self._roots.get(key)
        if found is None:
            undeclared = self._undeclared(keys, labels, classes)
            found = undeclared
            if labels.texts:
                found = self._machine.texts(labels.texts, undeclared, is_open=labels.has_any, label=FIRST_NAME)
            self._roots[key] = found
        return found

    def _undeclared(self, keys: KeyClasses, labels: NameLabels, classes: Sequence[int]) -> int:
        """The state in which an undeclared name begins; 0 when none may come."""
        if not classes:
            return 0
        if labels.has_any:
            return self._any.state(self._languages.everything)
        parts = tuple(
            (label, language)
            for label, language in zip(labels.class_labels, keys.classes, strict=True)
            if label in classes
        )
        lexemes = Lexemes(self._machine, "canonical", ending=_class_move, name=self._class_name)
        return lexemes.state(_ClassState(parts, {}))

    def _class_name(self, state: CharState) -> object:
        """What a state is called wherever the classes have these labels; None where one of them has no name."""
        if not isinstance(state, _ClassState):
            return None
        names = []
        for label, language in state.parts:
            name = self._languages.name_of(language) if isinstance(language, Language) else None
            if name is None:
                return None
            names.append((label, name))
        return tuple(names)


def _class_move(state: CharState) -> int:
    if not isinstance(state, _ClassState):
        raise TypeError(f"{state!r} is no state of an undeclared name")
    return label_move(state.label())
