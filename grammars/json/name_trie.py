"""The names of one object as states: a trie of the declared ones over the lexemes of the undeclared ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

from grammars.json.forms import KeyClasses
from grammars.machine.layout import (
    EDGE_AT,
    EDGES,
    ELSE,
    EXPANDED,
    FLAGS,
    HIGH,
    KEY,
    LOW,
    STATE_SIZE,
)
from grammars.machine.lexeme import Lexemes
from grammars.machine.machine import Machine
from grammars.machine.moves import goto, label_move
from grammars.machine.spelling import CharState, Moves
from grammars.machine.strings import ANY_NAME
from grammars.regular.language import Languages

__all__ = ["FIRST_NAME", "NAME", "NEXT", "NameLabels", "NameStates"]

NEXT, NAME, FIRST_NAME = 0, 1, ANY_NAME + 1
"""Labels: on to the next property; into its name; the first declared name. ANY_NAME is before that."""
QUOTE = 0x22


class NameLabels:
    """Labels of the machine for the labels of an object's names: declared names in the order of their bytes.

    Args:
        keys: how the names are told apart.
        everything: the language that, as the only class, has the label `ANY_NAME` in every object.
    """

    def __init__(self, keys: KeyClasses, everything: object) -> None:
        spelled = [json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")[1:] for name in keys.names]
        self.order = sorted(range(len(spelled)), key=spelled.__getitem__)
        """The place in `keys.names` of every label from FIRST_NAME on."""
        self.texts = [spelled[place] for place in self.order]
        """What a name is spelled like, its closing quote included, in the order of labels."""
        self.has_any = len(keys.classes) == 1 and keys.classes[0] is everything
        names = len(spelled)
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
            found = self._roots[key] = self._trie(labels, undeclared) if labels.texts else undeclared
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
        lexemes = Lexemes(self._machine, "canonical", ending=_class_move)
        return lexemes.state(_ClassState(parts, {}))

    def _trie(self, labels: NameLabels, undeclared: int) -> int:
        """Puts the whole trie into the heap at once; its root."""
        texts, machine = labels.texts, self._machine
        nodes: list[tuple[int, int, int]] = [(0, len(texts), 0)]
        others = [undeclared]
        edges: list[list[tuple[int, int]]] = []
        for low, high, depth in nodes:
            own: list[tuple[int, int]] = []
            other = others[len(edges)]
            while low < high:
                byte, end = texts[low][depth], low + 1
                while end < high and texts[end][depth] == byte:
                    end += 1
                if len(texts[low]) == depth + 1:
                    own.append((byte, -1 - low))
                else:
                    own.append((byte, len(nodes)))
                    nodes.append((low, end, depth + 1))
                    move = machine.move(other, byte) if other else 0
                    others.append(move >> 3)
                low = end
            edges.append(own)
        if not labels.has_any:
            self._close_spent(others, edges)
        return self._put(nodes, others, edges)

    def _close_spent(self, others: list[int], edges: list[list[tuple[int, int]]]) -> None:
        """Takes away the states of undeclared names from where only declared ones can follow, which may be used up."""
        for index in reversed(range(len(others))):
            taken = {byte for byte, to in edges[index] if to < 0 or not others[to]}
            if others[index] and taken.issuperset(self._machine.moves_of(others[index])):
                others[index] = 0

    def _put(self, nodes: list[tuple[int, int, int]], others: list[int], edges: list[list[tuple[int, int]]]) -> int:
        for other in dict.fromkeys(others):
            if other:
                self._machine.ensure(other)
        heap = self._machine.heap
        base = heap.used
        pairs_at = base + STATE_SIZE * len(nodes)
        records = [0] * (STATE_SIZE * len(nodes))
        pairs: list[int] = []
        for index, ((low, high, _), other, own) in enumerate(zip(nodes, others, edges, strict=True)):
            at = index * STATE_SIZE
            records[at + FLAGS] = EXPANDED if other else EXPANDED | KEY
            records[at + EDGES] = len(own)
            records[at + EDGE_AT] = pairs_at + len(pairs)
            records[at + ELSE] = other
            records[at + LOW] = FIRST_NAME + low
            records[at + HIGH] = FIRST_NAME + high
            for byte, to in own:
                pairs += (byte, goto(base + STATE_SIZE * to) if to >= 0 else label_move(FIRST_NAME - 1 - to))
        return heap.put(records + pairs)


def _class_move(state: CharState) -> int:
    if not isinstance(state, _ClassState):
        raise TypeError(f"{state!r} is no state of an undeclared name")
    return label_move(state.label())
