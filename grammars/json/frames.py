"""JSON on the pushdown: values, objects and arrays as states and frames.

An open object or array is one frame, which stands for what its constraints still ask; the bytes between are a handful
of states that all objects share and let the frame decide (see `grammars.machine.layout`, LABEL).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grammars.json.capture import last_name, last_value
from grammars.json.distinct_strings import ArrayStates, DistinctStrings
from grammars.json.forms import Forms, KeyClasses, StringForm
from grammars.json.name_trie import NAME, NEXT, NameLabels, NameStates
from grammars.json.node import Node
from grammars.machine.clipper import clipper
from grammars.machine.counted import left, with_counts
from grammars.machine.layout import CAPTURING, CLOSABLE, CLOSE
from grammars.machine.lexeme import Counts, Lexemes, Spelling
from grammars.machine.machine import Machine
from grammars.machine.moves import goto, label_move
from grammars.machine.strings import any_string, counted_string
from grammars.regular.language import Language, Languages
from grammars.spec import Whitespace

if TYPE_CHECKING:
    from grammars.json.arrays import ArrayShape, ArrayState
    from grammars.json.objects import ObjectState
    from grammars.json.shapes import Shapes

__all__ = ["JsonFrames"]

SPACES = b" \n\r\t"
MOST_SPACES = 8
"""Longest run of whitespace under the flexible policy: without an end, models run away."""
OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET, COMMA, COLON, QUOTE, SPACE = b'{}[],:" '


class JsonFrames:
    """Makes the states and frames of JSON values.

    Args:
        machine: where they are made.
        shapes: says what may come next.
        languages: of the shapes.
        whitespace: see `grammars.spec.JsonSchema`.
    """

    def __init__(self, machine: Machine, shapes: Shapes, languages: Languages, whitespace: Whitespace) -> None:
        self._machine = machine
        self._shapes = shapes
        self._languages = languages
        self._whitespace = whitespace
        self._names = NameStates(machine, languages)
        self._labels: dict[KeyClasses, NameLabels] = {}
        self._values: dict[Node, int] = {}
        self._colons: dict[Node, int] = {}
        self._commas: dict[Node, int] = {}
        self._name_commas: dict[int, int] = {}
        self._spaced: dict[int, int] = {}
        self._frames: dict[object, int] = {}
        self._any_string = any_string(machine)
        spelling: Spelling = "json" if whitespace == "flexible" else "canonical"
        self._strings = Lexemes(machine, spelling, twin=clipper(languages))
        self._counted: dict[tuple[int, int | None, bool], Lexemes] = {}
        self._numbers = Lexemes(machine, "plain")
        self._spelling = spelling
        self._literals = {text[0]: goto(machine.literal(text[1:])) for text in (b"null", b"true", b"false")}
        self._after_property = self._static({COMMA: label_move(NEXT), CLOSE_BRACE: CLOSE})
        self._after_item = self._static({COMMA: label_move(NEXT), CLOSE_BRACKET: CLOSE})
        self._open_object = self._static({QUOTE: label_move(NAME), CLOSE_BRACE: CLOSE})
        self._open_array = self._static({CLOSE_BRACKET: CLOSE})

    def root(self, node: Node) -> int:
        """The state in which a whole document of that constraint begins."""
        return self._spaces(self.value(node))

    def value(self, node: Node) -> int:
        """The state in which a value of that constraint begins, without whitespace before it."""
        found = self._values.get(node)
        if found is None:
            found = self._values[node] = self._machine.state(0, lambda state: self._expand_value(state, node))
        return found

    def _static(self, edges: dict[int, int]) -> int:
        state = self._machine.state()
        self._machine.set_edges(state, edges)
        return self._spaces(state)

    def _spaces(self, state: int) -> int:
        """The state, with whitespace before what it reads where the policy allows any."""
        if self._whitespace != "flexible":
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
            self._machine.ensure(otherwise)
            self._machine.set_edges(state, dict.fromkeys(SPACES, goto(following)), otherwise)

        return self._machine.state(0, expand)

    def _separated(self, byte: int | None, state: int) -> int:
        """Reads a separator (None: it was read already), what the policy puts behind it, and is in `state` then."""
        behind = self._spaces(state)
        if self._whitespace == "fixed":
            behind = self._machine.state()
            self._machine.set_edges(behind, {SPACE: goto(state)})
        if byte is None:
            return behind
        before = self._machine.state()
        self._machine.set_edges(before, {byte: goto(behind)})
        return self._spaces(before)

    def _expand_value(self, state: int, node: Node) -> None:
        forms = self._shapes.forms(node)
        edges: dict[int, int] = {}
        for byte, wanted in ((b"n"[0], forms.null), (b"t"[0], forms.true), (b"f"[0], forms.false)):
            if wanted:
                edges[byte] = self._literals[byte]
        if forms.string is not None:
            edges[QUOTE] = self._string(forms.string)
        if forms.number is not None:
            edges |= self._machine.moves_of(self._numbers.state(forms.number))
        if forms.objects:
            moves = [self._machine.push(self._open_object, [self._object(one)]) for one in forms.objects]
            edges[OPEN_BRACE] = self._machine.multi(moves)
        if forms.arrays:
            edges[OPEN_BRACKET] = self._machine.multi(self._array_moves(forms))
        self._machine.set_edges(state, edges)

    def _string(self, form: StringForm) -> int:
        """The move of the opening quote."""
        everything = self._languages.everything
        language, low, high = with_counts(self._languages, form.language, form.low, form.high)
        if (low, high) == (0, None):
            return goto((self._any_string if language is everything else self._strings).state(language))
        key = (low, high, language is everything)
        lexemes = self._counted.get(key)
        if lexemes is None:
            if language is everything:
                lexemes = counted_string(self._machine, low, high)
            else:
                lexemes = Lexemes(self._machine, self._spelling, counts=Counts(low, high, left))
            self._counted[key] = lexemes
        return self._machine.push(lexemes.state(language), ())

    def _array_moves(self, forms: Forms) -> list[int]:
        moves = []
        for array in forms.arrays:
            if array.shape.texts is not None:
                moves += self._distinct_strings(array.shape, array.shape.texts)
                continue
            if array.can_close:
                moves.append(self._machine.push(self._open_array, [self._array(array)]))
            for after, item in array.next():
                moves.append(self._machine.push(self._spaces(self.value(item)), [self._array(after)]))
        return moves

    def _distinct_strings(self, shape: ArrayShape, texts: Language) -> list[int]:
        """The moves of the opening bracket of an array of distinct strings."""
        is_any = texts is self._languages.everything
        content = (self._any_string if is_any else self._strings).state(texts)
        unended = Lexemes(self._machine, "json" if is_any else self._spelling, ending=lambda _: label_move(NEXT))
        states = ArrayStates(
            self._open_array, self._after_item, self._spaces, lambda state: self._separated(None, state)
        )
        return DistinctStrings(self._machine, states, shape.low, shape.high, content, unended.state(texts)).moves()

    def _array(self, array: ArrayState) -> int:
        """The frame of an array in which an item, or the opening bracket, was read."""
        found = self._frames.get(array)
        if found is None and array.captures:
            found = self._frames[array] = self._machine.frame(self._after_item, CAPTURING)
            self._machine.captures[found] = lambda text: [self._array(one) for one in array.with_item(last_value(text))]
        elif found is None:

            def jump(_: int) -> Sequence[tuple[int, int]]:
                return [(self._array(after), self._comma(item)) for after, item in array.next()]

            flags = CLOSABLE if array.can_close else 0
            found = self._frames[array] = self._machine.frame(self._after_item, flags, [array.can_continue()], jump)
        return found

    def _comma(self, item: Node) -> int:
        """The state behind the comma before an item."""
        found = self._commas.get(item)
        if found is None:
            found = self._commas[item] = self._separated(None, self.value(item))
        return found

    def _colon(self, node: Node) -> int:
        """The state behind a property's name."""
        found = self._colons.get(node)
        if found is None:
            found = self._colons[node] = self._separated(COLON, self.value(node))
        return found

    def _object(self, one: ObjectState) -> int:
        """The frame of an object in which a property, or the opening brace, was read."""
        found = self._frames.get(one)
        if found is None and one.captures:
            found = self._frames[one] = self._machine.frame(self._after_property, CAPTURING)
            self._machine.captures[found] = lambda text: [
                self._object(after) for after in one.with_name(last_name(text))
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
            return [(self._object(after), self._colon(node)) for after, node in one.next(labels.original(label))]

        frame = self._machine.frame(self._after_property, CLOSABLE if one.can_close else 0, alive, jump)
        return frame

    def _name_comma(self, root: int) -> int:
        """The state behind the comma before a name that begins in `root`."""
        found = self._name_commas.get(root)
        if found is None:
            quote = self._machine.state()
            self._machine.set_edges(quote, {QUOTE: goto(root)})
            found = self._name_commas[root] = self._separated(None, quote)
        return found
