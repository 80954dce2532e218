"""The parts of a constraint node that are about null, true, false, strings and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Set
from decimal import Decimal
from typing import TypeAlias

from grammars.errors import GrammarLimit
from grammars.json.forms import StringForm
from grammars.json.node import (
    TRUE,
    TYPES,
    All,
    Any,
    Every,
    EveryItem,
    IsType,
    JsonType,
    MultipleOf,
    Node,
    NumberIn,
    Ref,
    Some,
    SomeItem,
    StringIn,
    StringLength,
    WrittenWhole,
)
from grammars.json.numbers import Formula, number_language
from grammars.json.samples import few_texts
from grammars.json.targets import Targets
from grammars.json.unlike import Frozen, Unlike, freeze
from grammars.regular.language import Language, Languages

__all__ = ["ARRAY", "BITS", "CONSTANTS", "NUMBER", "OBJECT", "STRING", "Scalars"]

BITS = {name: 1 << place for place, name in enumerate(TYPES)}
"""One bit for each kind of value, for sets of kinds."""
STRING, NUMBER, ARRAY, OBJECT = BITS["string"], BITS["number"], BITS["array"], BITS["object"]
_ALL_KINDS = (1 << len(TYPES)) - 1
_COMPOUND = ARRAY | OBJECT
_FEW = 17
_MOST_GROUPS = 10_000

CONSTANTS: dict[JsonType, Frozen] = {"null": None, "true": freeze(True), "false": freeze(False)}
"""The kinds of one value each."""

_SAME_KINDS: dict[type, int] = {Some: OBJECT, SomeItem: ARRAY, Every: _ALL_KINDS, EveryItem: _ALL_KINDS}
"""The kinds that all nodes of one sort allow."""

_Strings: TypeAlias = tuple[Language, int, int | None]


class Scalars:
    """Reads nodes as far as they are about scalars; every answer is memoized by node.

    Args:
        languages: the arena strings and numbers become languages of.
        targets: what references stand for.
    """

    def __init__(self, languages: Languages, targets: Targets) -> None:
        self._languages = languages
        self._targets = targets
        self._kinds: dict[Node, int] = {}
        self._strings: dict[Node, _Strings] = {}
        self._string_forms: dict[Node, StringForm | None] = {}
        self._implied: dict[tuple[Node, Node], bool] = {}
        self._formulas: dict[Node, Formula] = {}
        self._sizes: dict[int, int] = {}
        self._numbers: dict[Formula, Language | None] = {}

    def kinds(self, node: Node) -> int:
        """The kinds of values a node may allow, as `BITS`: exact for null, true and false, an upper bound else."""
        found = _SAME_KINDS.get(type(node))
        if found is None:
            found = self._kinds.get(node)
        if found is None:
            found = self._kinds[node] = self._find_kinds(node)
        return found

    def _find_kinds(self, node: Node) -> int:
        match node:
            case All(items):
                kinds = _ALL_KINDS
                for item in items:
                    kinds &= self.kinds(item)
                return kinds
            case Any(items):
                kinds = 0
                for item in items:
                    kinds |= self.kinds(item)
                return kinds
            case IsType(types):
                return sum(BITS[name] for name in types)
            case Unlike():
                excluded = (BITS[name] for name, value in CONSTANTS.items() if value in node.values)
                return _ALL_KINDS & ~sum(excluded)
            case Ref():
                return self.kinds(self._targets.of(node))
        return _ALL_KINDS

    def surely_empty(self, node: Node) -> bool:
        """Whether a node has no value, when that shows without looking into arrays and objects; else False."""
        kinds = self.kinds(node)
        if kinds & ~(STRING | NUMBER):
            return False
        return self.string(node) is None and self.number(node) is None

    def has_scalar(self, node: Node) -> bool:
        """Whether a null, true, false, string or number satisfies the node."""
        kinds = self.kinds(node)
        if kinds & ~(STRING | NUMBER | _COMPOUND):
            return True
        return self.string(node) is not None or self.number(node) is not None

    def string(self, node: Node) -> StringForm | None:
        """The strings that satisfy a node; None when there are none."""
        if not self.kinds(node) & STRING:
            return None
        if node in self._string_forms:
            return self._string_forms[node]
        found = self._string_forms[node] = self._reduce(*self._fold_strings(node))
        return found

    def few_values(self, node: Node, limit: int) -> Set[Frozen] | None:
        """All values that satisfy a node when they are scalars and fewer than `limit`; else None."""
        kinds = self.kinds(node)
        if kinds & _COMPOUND:
            return None
        found = {value for kind, value in CONSTANTS.items() if kinds & BITS[kind]}
        string, number = self.bounded_string(node), self.number(node)
        texts = [] if string is None else few_texts(string, limit, str)
        numbers = [] if number is None or texts is None else few_texts(number, limit, Decimal)
        if texts is None or numbers is None:
            return None
        found.update(texts, numbers)
        return found if len(found) < limit else None

    def surely_implies(self, node: Node, other: Node) -> bool:
        """Whether what satisfies `node` satisfies `other`, when `node` has but a few values; else False."""
        if other is node or other is TRUE:
            return True
        key = (node, other)
        found = self._implied.get(key)
        if found is None:
            values = self.few_values(node, _FEW) if self.kinds(node) & ~self.kinds(other) == 0 else None
            found = self._implied[key] = values is not None and all(self._admits(other, value) for value in values)
        return found

    def _admits(self, node: Node, value: Frozen) -> bool:
        if isinstance(value, str):
            form = self.string(node)
            size = len(value)
            if form is None or size < form.low or (form.high is not None and size > form.high):
                return False
            return self._languages.accepts(form.language, value)
        if isinstance(value, Decimal):
            number, text = self.number(node), format(value, "f")
            # An integer may be spelled with a fraction, which `WrittenWhole` tells apart.
            spellings = (text,) if "." in text else (text, text + ".0")
            return number is not None and all(self._languages.accepts(number, each) for each in spellings)
        return any(self.kinds(node) & BITS[kind] for kind, held in CONSTANTS.items() if held == value)

    def bounded_string(self, node: Node) -> Language | None:
        """The strings that satisfy a node as one language; None when there are none."""
        form = self.string(node)
        return None if form is None else self._bounded(form.language, form.low, form.high)

    def _reduce(self, language: Language, low: int, high: int | None) -> StringForm | None:
        """The strings of a language within bounds; a lower one it keeps to by itself is dropped."""
        if language is self._languages.everything:
            return StringForm(language, low, high) if high is None or low <= high else None
        if (high is not None and low > high) or self._languages.is_empty(language):
            return None
        if low == 0 and high is None:
            return StringForm(language, low, high)
        shortest = language.shortest
        if high is not None and shortest > high:
            return None
        if low <= shortest:
            return StringForm(language, 0, high)
        if self._languages.is_empty(self._bounded(language, low, high)):
            return None
        return StringForm(language, low, high)

    def _bounded(self, language: Language, low: int, high: int | None) -> Language:
        if low == 0 and high is None:
            return language
        if high is not None and low > high:
            return self._languages.nothing
        return self._languages.intersect(language, self._languages.repeat(self._languages.any_char, low, high))

    def _fold_strings(self, node: Node) -> _Strings:
        """Language and length bounds that together are what a node says of strings."""
        everything = self._languages.everything
        match node:
            case StringIn(language):
                return language, 0, None
            case StringLength(low, high):
                return everything, low, high
            case IsType(types):
                return (everything if "string" in types else self._languages.nothing), 0, None
            case Some() | SomeItem():
                return self._languages.nothing, 0, None
            case Unlike():
                texts = [value for value in node.values if isinstance(value, str)]
                return self._languages.complement(self._languages.literals(texts)), 0, None
            case All() | Any() | Ref():
                found = self._strings.get(node)
                if found is None:
                    found = self._strings[node] = self._fold_string_group(node)
                return found
        return everything, 0, None

    def _fold_string_group(self, node: All | Any | Ref) -> _Strings:
        if isinstance(node, Ref):
            return self._fold_strings(self._targets.of(node))
        if isinstance(node, All):
            return self._meet_strings([self._fold_strings(item) for item in node.items])
        return self._join_strings([self._fold_strings(item) for item in node.items if self.kinds(item) & STRING])

    def _meet_strings(self, parts: list[_Strings]) -> _Strings:
        bounds = [high for _, _, high in parts if high is not None]
        low = max((low for _, low, _ in parts), default=0)
        wanted = dict.fromkeys(language for language, _, _ in parts)
        wanted.pop(self._languages.everything, None)
        return self._languages.intersect(*wanted), low, min(bounds, default=None)

    def _join_strings(self, parts: list[_Strings]) -> _Strings:
        """The union. Bounds that all parts have in common stay bounds; others become part of the language."""
        nothing = self._languages.nothing
        kept = [part for part in parts if part[0] is not nothing and (part[2] is None or part[1] <= part[2])]
        if not kept:
            return nothing, 0, None
        if (self._languages.everything, 0, None) in kept:
            return self._languages.everything, 0, None
        if all(part[1:] == kept[0][1:] for part in kept):
            return self._languages.union(*dict.fromkeys(part[0] for part in kept)), *kept[0][1:]
        return self._languages.union(*dict.fromkeys(self._bounded(*part) for part in kept)), 0, None

    def allows_all_numbers(self, node: Node) -> bool:
        """Whether a node that may allow numbers says nothing more of them."""
        return self._fold_numbers(node) == ("all",)

    def number(self, node: Node) -> Language | None:
        """The texts of the numbers that satisfy a node; None when there are none."""
        if not self.kinds(node) & NUMBER:
            return None
        formula = self._fold_numbers(node)
        if formula not in self._numbers:
            language = number_language(self._languages, formula)
            self._numbers[formula] = None if self._languages.is_empty(language) else language
        return self._numbers[formula]

    def _fold_numbers(self, node: Node) -> Formula:
        match node:
            case NumberIn() | MultipleOf() | WrittenWhole():
                return node
            case IsType(types):
                return ("all",) if "number" in types else ("any",)
            case Some() | SomeItem():
                return ("any",)
            case All() | Any() | Ref():
                found = self._formulas.get(node)
                if found is None:
                    found = self._formulas[node] = self._fold_number_group(node)
                    self._check_size(found)
                return found
        return ("all",)

    def _check_size(self, formula: Formula) -> None:
        """Refuses formulas that share so many parts that spelled out they are very long."""
        if isinstance(formula, tuple):
            # By identity: to compare or hash a formula is what must not be done before it is known to be short.
            size = 1 + sum(self._sizes.get(id(part), 1) for part in formula[1:] if isinstance(part, tuple))
            self._sizes[id(formula)] = size
            if size > _MOST_GROUPS:
                raise GrammarLimit(f"json_schema: more than {_MOST_GROUPS} alternatives for one number")

    def _fold_number_group(self, node: All | Any | Ref) -> Formula:
        if isinstance(node, Unlike):
            return _simplified("all", (_other_number(value) for value in node.values if isinstance(value, Decimal)))
        if isinstance(node, Ref):
            return self._fold_numbers(self._targets.of(node))
        if isinstance(node, All):
            return _simplified("all", (self._fold_numbers(item) for item in node.items))
        return _simplified("any", (self._fold_numbers(item) for item in node.items if self.kinds(item) & NUMBER))


def _other_number(value: Decimal) -> Formula:
    return ("any", NumberIn(None, value, high_open=True), NumberIn(value, None, low_open=True))


def _simplified(connective: str, parts: Iterable[Formula]) -> Formula:
    """A formula with nested ones of the same connective flattened, each part kept once, the trivial ones decided."""
    opposite = "any" if connective == "all" else "all"
    flat: dict[Formula, None] = {}
    for part in parts:
        if part == (opposite,):
            return part
        if isinstance(part, tuple) and part[0] == connective:
            flat.update(dict.fromkeys(part[1:]))  # type: ignore[arg-type]
        else:
            flat[part] = None
    if len(flat) == 1:
        return next(iter(flat))
    return (connective, *flat)
