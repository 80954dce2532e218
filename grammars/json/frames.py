"""JSON on the pushdown: values, objects and arrays as states and frames.

An open object or array is one frame, which stands for what its constraints still ask; the bytes between are a handful
of states that all objects share and let the frame decide (see `grammars.machine.layout`, LABEL).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from grammars.errors import GrammarLimit
from grammars.json.capture import last_name, last_value
from grammars.json.distinct_strings import ArrayStates, DistinctStrings
from grammars.json.forms import Forms, KeyClasses, StringForm
from grammars.json.ground import JsonGround
from grammars.json.name_trie import NAME, NEXT, NameLabels, NameStates, spelled
from grammars.json.node import Node
from grammars.json.object_search import labels_of
from grammars.json.scalars import ARRAY, OBJECT
from grammars.machine.clipper import clipper
from grammars.machine.counted import left, with_counts
from grammars.machine.layout import CAPTURING, CLOSABLE
from grammars.machine.lexeme import Counts, Lexemes
from grammars.machine.moves import goto, label_move
from grammars.machine.spelling import CharState
from grammars.machine.strings import counted_string
from grammars.regular.language import Language, Languages
from grammars.regular.shared import SharedState

if TYPE_CHECKING:
    from grammars.json.arrays import ArrayShape, ArrayState
    from grammars.json.objects import ObjectState
    from grammars.json.shapes import Shapes

__all__ = ["JsonFrames"]

OPEN_BRACE, OPEN_BRACKET, COLON, QUOTE = b'{[:"'
MOST_CHARS = 4096
"""Strings that are listed in a schema are laid out at once up to that length in all; longer lists as they are read."""


class JsonFrames:
    """Makes the states and frames of JSON values.

    Args:
        ground: what they stand on, in the machine where they are made.
        shapes: says what may come next.
        languages: of the shapes.
    """

    def __init__(self, ground: JsonGround, shapes: Shapes, languages: Languages) -> None:
        machine = ground.machine
        self._ground = ground
        self._machine = machine
        self._shapes = shapes
        self._languages = languages
        self._names = NameStates(machine, ground.any_name, languages)
        self._labels: dict[KeyClasses, NameLabels] = {}
        self._values = ground.values.copy()
        self._colons: dict[Node, int] = {}
        self._commas: dict[Node, int] = {}
        self._name_commas: dict[int, int] = {}
        self._frames: dict[object, int] = {}
        self._strings = Lexemes(machine, ground.spelling, name=self._name, twin=clipper(languages))
        self._counted: dict[tuple[int, int | None, bool], Lexemes] = {}
        self._lists: dict[Language, int] = {}

    def root(self, node: Node) -> int:
        """The state in which a whole document of that constraint begins."""
        return self._ground.spaces(self.value(node))

    def prepare(self, node: Node, most: int, until: float) -> None:
        """Makes the states of a value, and of those in it, that are likely to be asked for first.

        What cannot be made is left to whoever comes there.

        Args:
            node: the value's constraint.
            most: how many objects and arrays to prepare, the outer ones first.
            until: when to stop, as `time.monotonic` counts.
        """
        waiting, seen = [node], {node}
        try:
            for here in waiting:
                if here in self._ground.values or not self._shapes.scalars.kinds(here) & (OBJECT | ARRAY):
                    continue
                if most == 0 or time.monotonic() > until:
                    return
                most -= 1
                self._machine.ensure(self.value(here))
                inside = [child for child in dict.fromkeys(self._inside(self._shapes.forms(here))) if child not in seen]
                seen.update(inside)
                waiting += inside
        except (GrammarLimit, RecursionError):
            return

    def _inside(self, forms: Forms) -> list[Node]:
        """What properties and items of a value satisfy that begins with them; objects' names are laid out."""
        found = []
        for one in forms.objects:
            if not one.captures and not one.shape.is_free:
                self._machine.jump(self.object(one), NAME)
                found += [one.shape.value(label) for label in labels_of(one.alive_mask)]
        for array in forms.arrays:
            found += [item for _, item in array.next()]
        return found

    def value(self, node: Node) -> int:
        """The state in which a value of that constraint begins, without whitespace before it."""
        found = self._values.get(node)
        if found is None:
            found = self._values[node] = self._machine.state(0, lambda state: self._expand_value(state, node))
        return found

    def _expand_value(self, state: int, node: Node) -> None:
        forms = self._shapes.forms(node)
        edges: dict[int, int] = {}
        for byte, wanted in ((b"n"[0], forms.null), (b"t"[0], forms.true), (b"f"[0], forms.false)):
            if wanted:
                edges[byte] = self._ground.literals[byte]
        if forms.string is not None:
            edges[QUOTE] = self._string(forms.string)
        if forms.number is not None:
            edges |= self._ground.number_moves(forms.number)
        if forms.objects:
            moves = [self._machine.push(self._ground.open_object, [self.object(one)]) for one in forms.objects]
            edges[OPEN_BRACE] = self._machine.multi(moves)
        if forms.arrays:
            edges[OPEN_BRACKET] = self._machine.multi(self._array_moves(forms))
        self._machine.set_edges(state, edges)

    def _string(self, form: StringForm) -> int:
        """The move of the opening quote."""
        everything = self._languages.everything
        language, low, high = with_counts(self._languages, form.language, form.low, form.high)
        if (low, high) == (0, None):
            texts = self._languages.listed(language, MOST_CHARS) if self._ground.spelling == "canonical" else None
            if texts is not None:
                return goto(self._listed(language, texts))
            if language is everything:
                return goto(self._ground.any_string.state(language))
            return goto(self._strings.state(self._ground.shared_state(language)))
        key = (low, high, language is everything)
        lexemes = self._counted.get(key)
        if lexemes is None:
            if language is everything:
                lexemes = counted_string(self._machine, low, high)
            else:
                lexemes = Lexemes(self._machine, self._ground.spelling, counts=Counts(low, high, left), name=self._name)
            self._counted[key] = lexemes
        return self._machine.push(lexemes.state(language), ())

    def _name(self, language: CharState) -> object:
        if isinstance(language, SharedState):
            return language.name
        return self._languages.name_of(language) if isinstance(language, Language) else None

    def _listed(self, language: Language, texts: list[str]) -> int:
        """The state behind the opening quote of one of a few strings."""
        found = self._lists.get(language)
        if found is None:
            found = self._lists[language] = self._machine.texts(sorted(map(spelled, texts)))
        return found

    def _array_moves(self, forms: Forms) -> list[int]:
        moves = []
        for array in forms.arrays:
            if array.shape.texts is not None:
                moves += self._distinct_strings(array.shape, array.shape.texts)
                continue
            if array.can_close:
                moves.append(self._machine.push(self._ground.open_array, [self.array(array)]))
            for after, item in array.next():
                moves.append(self._machine.push(self._ground.spaces(self.value(item)), [self.array(after)]))
        return moves

    def _distinct_strings(self, shape: ArrayShape, texts: Language) -> list[int]:
        """The moves of the opening bracket of an array of distinct strings."""
        ground = self._ground
        is_any = texts is self._languages.everything
        content = (ground.any_string if is_any else self._strings).state(texts)
        unended = Lexemes(self._machine, "json" if is_any else ground.spelling, ending=lambda _: label_move(NEXT))
        states = ArrayStates(
            ground.open_array, ground.after_item, ground.spaces, lambda state: ground.separated(None, state)
        )
        return DistinctStrings(self._machine, states, shape.low, shape.high, content, unended.state(texts)).moves()

    def array(self, array: ArrayState) -> int:
        """The frame of an array in which an item, or the opening bracket, was read."""
        found = self._frames.get(array)
        if found is None and array.shape.is_free and self._ground.free_array:
            found = self._frames[array] = self._ground.free_array
        elif found is None and array.captures:
            found = self._frames[array] = self._machine.frame(self._ground.after_item, CAPTURING)
            self._machine.captures[found] = lambda text: [self.array(one) for one in array.with_item(last_value(text))]
        elif found is None:

            def jump(_: int) -> Sequence[tuple[int, int]]:
                return [(self.array(after), self._comma(item)) for after, item in array.next()]

            flags = CLOSABLE if array.can_close else 0
            found = self._frames[array] = self._machine.frame(
                self._ground.after_item, flags, [array.can_continue()], jump
            )
        return found

    def _comma(self, item: Node) -> int:
        """The state behind the comma before an item."""
        found = self._commas.get(item)
        if found is None:
            found = self._commas[item] = self._ground.separated(None, self.value(item))
        return found

    def _colon(self, node: Node) -> int:
        """The state behind a property's name."""
        found = self._colons.get(node)
        if found is None:
            found = self._colons[node] = self._ground.separated(COLON, self.value(node))
        return found

    def object(self, one: ObjectState) -> int:
        """The frame of an object in which a property, or the opening brace, was read."""
        found = self._frames.get(one)
        if found is None and one.shape.is_free and self._ground.free_object:
            found = self._frames[one] = self._ground.free_object
        elif found is None and one.captures:
            found = self._frames[one] = self._machine.frame(self._ground.after_property, CAPTURING)
            self._machine.captures[found] = lambda text: [
                self.object(after) for after in one.with_name(last_name(text))
            ]
        elif found is None:
            found = self._frames[one] = self._object_frame(one)
        return found

    def _object_frame(self, one: ObjectState) -> int:
        keys = one.keys
        labels = self._labels.get(keys)
        if labels is None:
            labels = self._labels[keys] = NameLabels(keys, self._languages.everything)
        alive = labels.alive(one.alive_mask)

        def jump(label: int) -> Sequence[tuple[int, int]]:
            if label in (NEXT, NAME):
                classes = [label for label in labels.class_labels if alive[label]]
                root = self._names.root(keys, labels, classes)
                return [(frame, root if label == NAME else self._name_comma(root))]
            return [(self.object(after), self._colon(node)) for after, node in one.next(labels.original(label))]

        frame = self._machine.frame(self._ground.after_property, CLOSABLE if one.can_close else 0, alive, jump)
        return frame

    def _name_comma(self, root: int) -> int:
        """The state behind the comma before a name that begins in `root`."""
        found = self._name_commas.get(root)
        if found is None:
            quote = self._machine.state()
            self._machine.set_edges(quote, {QUOTE: goto(root)})
            found = self._name_commas[root] = self._ground.separated(None, quote)
        return found
