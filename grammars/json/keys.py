"""The names one object may have, told apart as far as its constraints do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grammars.errors import GrammarLimit
from grammars.json.conjunctions import Atom, Conjunction
from grammars.json.forms import KeyClasses, ShapeLimits
from grammars.json.node import FALSE, Every, KeySet, Some
from grammars.json.samples import few_texts
from grammars.json.unlike import FrozenObject
from grammars.regular.language import Language, Languages

__all__ = ["KeyTable"]

_Cell = tuple[Language, frozenset[Language]]
"""Names, and the patterns they match."""


class KeyTable:
    """Labels for the names of one conjunction, and which of them each set of names covers.

    Sets of labels are bit masks: bit i is the label i of `keys`.

    Args:
        languages: the arena of the patterns.
        conjunction: what is known of the object.
        limits: `cells` and `finite_names` of them.
    """

    def __init__(self, languages: Languages, conjunction: Conjunction, limits: ShapeLimits) -> None:
        self._languages = languages
        self._limits = limits
        atoms = [*conjunction.atoms, *(literal for clause in conjunction.clauses for literal in clause)]
        self._atoms = [atom for atom in atoms if isinstance(atom, Every | Some)]
        names = _declared(self._atoms, conjunction)
        self._patterns = list(dict.fromkeys(pattern for atom in self._atoms for pattern in atom.keys.patterns))
        self._closed = [
            atom.keys
            for atom in conjunction.atoms
            if isinstance(atom, Every) and atom.node is FALSE and (atom.keys.negated or atom.keys.patterns)
        ]
        cells = self._cut_cells(names)
        if len(self._atoms) < len(atoms) or any(isinstance(atom, Some) and _is_open(atom.keys) for atom in self._atoms):
            # Where properties are counted, a finite class of names must not count as if it had no end.
            cells = self._name_finite(cells, names)
        groups = self._group(cells)
        self.keys = KeyClasses(tuple(names), tuple(groups.values()))
        self._signatures = [signature for signature, _ in groups]
        self._labels = {name: label for label, name in enumerate(names)}
        self.num_names = len(names)
        self.all_names = (1 << len(names)) - 1
        self.all_classes = ((1 << len(groups)) - 1) << len(names)
        self._masks: dict[KeySet, int] = {}

    def mask(self, keys: KeySet) -> int:
        """The labels a set of names covers. Names the table does not know are left out."""
        if len(keys.names) == 1 and not keys.negated and not keys.patterns:
            label = self._labels.get(keys.names[0])
            return 0 if label is None else 1 << label
        found = self._masks.get(keys)
        if found is None:
            found = self._masks[keys] = self._find_mask(keys)
        return found

    def label(self, name: str) -> int | None:
        """The label of a declared name."""
        return self._labels.get(name)

    def _find_mask(self, keys: KeySet) -> int:
        mask = 0
        for name in keys.names:
            label = self._labels.get(name)
            if label is not None:
                mask |= 1 << label
        if keys.patterns:
            for label, name in enumerate(self.keys.names):
                if any(self._languages.accepts(pattern, name) for pattern in keys.patterns):
                    mask |= 1 << label
            for label, signature in enumerate(self._signatures, self.num_names):
                if not signature.isdisjoint(keys.patterns):
                    mask |= 1 << label
        return mask ^ (self.all_names | self.all_classes) if keys.negated else mask

    def _cut_cells(self, names: Sequence[str]) -> list[_Cell]:
        """The undeclared names that may come at all, cut by the patterns; empty cells left out."""
        if any(keys.negated and not keys.patterns for keys in self._closed):
            return []
        cells: list[_Cell] = [(self._languages.everything, frozenset())]
        for place, pattern in enumerate(self._patterns, 1):
            seen = frozenset(self._patterns[:place])
            parts = (part for cell in cells for part in self._halve(cell, pattern, seen))
            cells = []
            for part in parts:
                cells.append(part)
                if len(cells) > self._limits.cells:
                    raise GrammarLimit(
                        f"patternProperties: the patterns of one object make more than {len(cells) - 1} classes"
                    )
        if not self._patterns:
            return cells
        return [cell for cell in cells if not self._is_spent(cell[0], names)]

    def _halve(self, cell: _Cell, pattern: Language, seen: frozenset[Language]) -> Iterable[_Cell]:
        language, matched = cell
        inside = frozenset((*matched, pattern))
        for held, cut in ((inside, pattern), (matched, self._languages.complement(pattern))):
            if any(_rules_out(keys, held, seen) for keys in self._closed):
                continue
            part = self._languages.intersect(language, cut)
            if not self._languages.is_empty(part):
                yield part, held

    def _is_spent(self, language: Language, names: Sequence[str]) -> bool:
        """Whether a class has no name but declared ones."""
        if not names or language is self._languages.everything or language.longest is None:
            return False
        return self._languages.is_empty(self._without(language, names))

    def _without(self, language: Language, names: Iterable[str]) -> Language:
        return self._languages.intersect(language, self._languages.complement(self._languages.literals(names)))

    def _name_finite(self, cells: list[_Cell], names: list[str]) -> list[_Cell]:
        """Declares the names of small finite cells one by one; the cells that are left."""
        kept: list[_Cell] = []
        for language, matched in cells:
            texts = few_texts(self._without(language, names), self._limits.finite_names, str)
            if texts is None:
                kept.append((language, matched))
            else:
                names += texts
        return kept

    def _group(self, cells: list[_Cell]) -> dict[tuple[frozenset[Language], tuple[bool, ...]], Language]:
        """Cells that the same atoms cover, made one class each."""
        groups: dict[tuple[bool, ...], list[_Cell]] = {}
        for cell in cells:
            covered = tuple(atom.keys.negated == cell[1].isdisjoint(atom.keys.patterns) for atom in self._atoms)
            groups.setdefault(covered, []).append(cell)
        return {
            (group[0][1], covered): self._languages.union(*(language for language, _ in group))
            for covered, group in groups.items()
        }


def _is_open(keys: KeySet) -> bool:
    return keys.negated or bool(keys.patterns)


def _declared(atoms: Sequence[Every | Some], conjunction: Conjunction) -> list[str]:
    """Names in the order of the schema: first those that are given a value."""
    declaring: list[Atom] = [atom for atom in atoms if isinstance(atom, Every) and not atom.keys.negated]
    names = dict.fromkeys(name for atom in (*declaring, *atoms) for name in atom.keys.names)  # type: ignore[union-attr]
    for rival in conjunction.rivals:
        if isinstance(rival, FrozenObject):
            names.update((name, None) for name, _ in rival.items)
    return list(names)


def _rules_out(keys: KeySet, matched: frozenset[Language], seen: frozenset[Language]) -> bool:
    """Whether undeclared names that match just `matched` of the patterns in `seen` are surely in `keys`."""
    if keys.negated:
        return seen.issuperset(keys.patterns) and matched.isdisjoint(keys.patterns)
    return not matched.isdisjoint(keys.patterns)
