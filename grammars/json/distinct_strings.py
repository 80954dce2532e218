"""Arrays of distinct strings as frames, where any number of other strings is left whatever came before.

Which strings there were is looked up in the text when an item is complete, as for all distinct items. Masks need not
wait for that: the string just read cannot come again unless a token holds another string whole, so they go on without,
up to the quote that would end that one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grammars.json.capture import last_value
from grammars.json.name_trie import NEXT
from grammars.machine.apart import ApartStates, TextTrie
from grammars.machine.layout import CAPTURING, CLOSABLE
from grammars.machine.machine import Machine
from grammars.machine.moves import goto

__all__ = ["ArrayStates", "DistinctStrings"]

QUOTE = 0x22


@dataclass(frozen=True, slots=True)
class ArrayStates:
    """What all arrays have in common.

    Args:
        opened: the state behind the opening bracket of an array without items.
        after_item: the state behind an item.
        spaces: puts whitespace before a state where the policy allows any.
        comma: the state behind a comma, before the state of an item.
    """

    opened: int
    after_item: int
    spaces: Callable[[int], int]
    comma: Callable[[int], int]


class DistinctStrings:
    """The frames of arrays of one shape.

    Args:
        machine: where they are made.
        states: of arrays.
        low, high: bounds on the number of items (None: without end).
        content: the state behind the opening quote of an item.
        unended: the same, but where the item ends its label `NEXT` is asked of the frame on top.
    """

    def __init__(
        self, machine: Machine, states: ArrayStates, low: int, high: int | None, content: int, unended: int
    ) -> None:
        self._machine = machine
        self._states = states
        self._low = low
        self._high = high
        self._content = content
        self._apart = ApartStates(machine)
        self._stop = machine.frame(states.after_item, CAPTURING)
        self._unended = states.comma(self._quoted(unended))

    def moves(self) -> list[int]:
        """The moves of the opening bracket."""
        states, none = self._states, TextTrie()
        found = []
        if self._low == 0:
            found.append(self._machine.push(states.opened, [self._machine.frame(states.after_item, CLOSABLE)]))
        if self._high is None or self._high > 0:
            found.append(self._machine.push(states.spaces(self._item(none)), [self._reading(none, 0)]))
        return found

    def _quoted(self, content: int) -> int:
        state = self._machine.state()
        self._machine.set_edges(state, {QUOTE: goto(content)})
        return state

    def _item(self, texts: TextTrie) -> int:
        return self._quoted(self._apart.state(self._content, texts))

    def _closable(self, count: int) -> int:
        return CLOSABLE if count >= self._low else 0

    def _reading(self, texts: TextTrie, before: int) -> int:
        """The frame while an item is read that is none of the texts before it."""
        machine, after_item = self._machine, self._states.after_item
        closable = self._closable(before + 1)
        if self._high is not None and before + 1 >= self._high:
            return machine.frame(after_item, closable, [False])
        found: dict[str, int] = {}

        def captured(text: bytes) -> Sequence[int]:
            item = str(last_value(text))
            frame = found.get(item)
            if frame is None:
                frame = found[item] = self._between(texts.with_text(item), before + 1)
            return (frame,)

        reading = machine.frame(after_item, CAPTURING | closable, [True], lambda _: [(self._stop, self._unended)])
        machine.captures[reading] = captured
        return reading

    def _between(self, texts: TextTrie, count: int) -> int:
        """The frame behind an item, whose text is one of the texts."""

        def jump(label: int) -> Sequence[tuple[int, int]]:
            if label != NEXT:
                raise ValueError(f"label: {label} is none of an array's")
            return [(self._reading(texts, count), self._states.comma(self._item(texts)))]

        return self._machine.frame(self._states.after_item, self._closable(count), [True], jump)
