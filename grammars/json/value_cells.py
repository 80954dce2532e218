"""The values of one property or item, told apart by what several constraints say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from grammars.json.node import TYPES, All, Any, IsType, Node, Nodes, StringIn
from grammars.json.scalars import BITS, CONSTANTS, NUMBER, STRING, Scalars
from grammars.regular.kinds import Complement, Epsilon, Texts
from grammars.regular.language import Language, Languages

__all__ = ["Cell", "ValueCells"]

_CONSTANTS = sum(BITS[kind] for kind in CONSTANTS)


_Listed: TypeAlias = tuple[frozenset[str], bool]
"""Texts, and whether a language has just these (True) or all but these."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Values that satisfy all of `true` and none of `false`.

    `kinds` are those of its values that are no strings, `language` has its strings.
    """

    kinds: int
    language: Language
    true: frozenset[Node] = frozenset()
    false: frozenset[Node] = frozenset()


class ValueCells:
    """Cuts values into cells. A node cuts if it is about strings, and allows numbers, arrays and objects wholly or not.

    Args:
        languages: the arena of the strings.
        nodes: the table of the nodes.
        scalars: reads nodes.
        whole: for arrays and objects, what says by () that a node allows all of them.
        limit: when there are so many cells, the nodes left do not cut.
    """

    def __init__(
        self,
        languages: Languages,
        nodes: Nodes,
        scalars: Scalars,
        whole: Mapping[int, Callable[[Node], tuple[object, ...] | None]],
        limit: int,
    ) -> None:
        self._languages = languages
        self._nodes = nodes
        self._scalars = scalars
        self._whole = whole
        self._limit = limit
        self._whole_cells: dict[Node, Cell | None] = {}
        self._cells: dict[tuple[Node, frozenset[Node]], tuple[Cell, ...]] = {}

    def cut(self, base: Node, by: Iterable[Node]) -> tuple[Cell, ...]:
        """The cells of the values that satisfy `base`; those that surely have no value are left out."""
        cutting = dict.fromkeys(by)
        key = (base, frozenset(cutting))
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = self._find_cells(base, cutting)
        return found

    def _find_cells(self, base: Node, by: Iterable[Node]) -> tuple[Cell, ...]:
        strings = self._strings(base)
        cuts = [(node, cut) for node in by if (cut := self._values(node)) is not None]
        listed = {node: own for node, cut in cuts if (own := _listed(cut.language)) is not None}
        named = set().union(*(own for own, _ in listed.values()))
        if len(named) > self._limit:
            listed, named = {}, set()
        texts = [text for text in sorted(named) if self._languages.accepts(strings, text)]
        cells = [Cell(self._scalars.kinds(base) & ~STRING, self._without(strings, texts))]
        for node, cut in cuts:
            if len(cells) < self._limit:
                cells = [half for cell in cells for half in self._halve(cell, cut, node, listed.get(node))]
        return *self._text_cells(texts, cuts, listed), *cells

    def _without(self, strings: Language, texts: list[str]) -> Language:
        """A language without some texts of it."""
        if not texts:
            return strings
        listed = _listed(strings)
        if listed is not None and listed[1]:
            return self._languages.literals(listed[0].difference(texts))
        return self._languages.intersect(strings, self._languages.complement(self._languages.literals(texts)))

    def _text_cells(
        self, texts: Iterable[str], cuts: Iterable[tuple[Node, Cell]], listed: Mapping[Node, _Listed]
    ) -> Iterator[Cell]:
        """Strings that some node names, told apart by all nodes."""
        groups: dict[tuple[bool, ...], list[str]] = {}
        for text in texts:
            truths = (
                (text in listed[node][0]) == listed[node][1]
                if node in listed
                else self._languages.accepts(cut.language, text)
                for node, cut in cuts
            )
            groups.setdefault(tuple(truths), []).append(text)
        nodes = [node for node, _ in cuts]
        for held, same in groups.items():
            true = frozenset(node for node, holds in zip(nodes, held, strict=True) if holds)
            yield Cell(0, self._languages.literals(same), true, frozenset(nodes) - true)

    def surely_has(self, cell: Cell) -> bool:
        """Whether a cell has values, of those kinds that show without looking further."""
        return bool(cell.kinds & _CONSTANTS) or not self._languages.is_empty(cell.language)

    def union(self, cells: Iterable[Cell]) -> Node:
        """What just the values of some cells satisfy, among those that were cut."""
        kinds, languages = 0, []
        for cell in cells:
            kinds |= cell.kinds
            languages.append(cell.language)
        make, strings = self._nodes.make, self._languages.union(*languages)
        others = make(IsType, frozenset(kind for kind in TYPES if kinds & BITS[kind]))
        if strings is self._languages.nothing:
            return others
        all_strings = make(All, (make(IsType, frozenset(("string",))), make(StringIn, strings)))
        return make(Any, (others, all_strings)) if kinds else all_strings

    def _values(self, node: Node) -> Cell | None:
        """What a node says of values, where that can be cut by."""
        if node not in self._whole_cells:
            kinds = self._scalars.kinds(node)
            cuts = all(not kinds & kind or flat(node) == () for kind, flat in self._whole.items())
            cuts = cuts and (not kinds & NUMBER or self._scalars.allows_all_numbers(node))
            self._whole_cells[node] = Cell(kinds & ~STRING, self._strings(node)) if cuts else None
        return self._whole_cells[node]

    def _strings(self, node: Node) -> Language:
        language = self._scalars.bounded_string(node)
        return self._languages.nothing if language is None else language

    def _halve(self, cell: Cell, cut: Cell, node: Node, listed: _Listed | None) -> Iterable[Cell]:
        """The values of a cell that satisfy a node, and the others; none of its strings is one of the texts listed."""
        if listed is None:
            inside = self._languages.intersect(cell.language, cut.language)
            outside = self._languages.intersect(cell.language, self._languages.complement(cut.language))
        else:
            inside, outside = self._languages.nothing, cell.language
            if not listed[1]:
                inside, outside = outside, inside
        halves = (
            Cell(cell.kinds & cut.kinds, inside, cell.true | {node}, cell.false),
            Cell(cell.kinds & ~cut.kinds, outside, cell.true, cell.false | {node}),
        )
        return (half for half in halves if half.kinds or not self._languages.is_empty(half.language))


def _listed(language: Language) -> _Listed | None:
    """The texts a language lists; None where it does not just say which texts it has, or lacks."""
    if isinstance(language, Complement):
        inner = _listed(language.item)
        return None if inner is None else (inner[0], not inner[1])
    if isinstance(language, Texts):
        return frozenset(language.rests()), True
    return (frozenset(("",)), True) if isinstance(language, Epsilon) else None
