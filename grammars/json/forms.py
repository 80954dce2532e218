"""What a JSON value may be, one field for each kind of value, as a text generator needs to know it.

`Shapes.forms` makes these from constraint nodes; the objects and arrays in them say step by step what may come next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grammars.json.arrays import ArrayState
    from grammars.json.objects import ObjectState
    from grammars.regular.language import Language

__all__ = ["Forms", "KeyClasses", "ShapeLimits", "StringForm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeLimits:
    """How far a schema is followed before `GrammarLimit` ends it.

    Args:
        alternatives: conjunctions that one node, or one property or item of it, may split into.
        cells: classes of undeclared names that the patterns of one object may make.
        search: steps spent on asking whether one object or array can still be completed.
        distinct_items: items of an array with `uniqueItems`; such an array ends there, and the log says so, save
            where the items are strings of which any number is left whichever came before.
        finite_names: an undeclared class with at most so many names is declared name by name.
    """

    alternatives: int = 4096
    cells: int = 256
    search: int = 4096
    distinct_items: int = 512
    finite_names: int = 64


@dataclass(frozen=True, slots=True)
class StringForm:
    """Strings of `language` with `low` to `high` code points (None: without end), before JSON's escapes."""

    language: Language
    low: int
    high: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Forms:
    """Everything a value may be. `string` and `number` are None where no text qualifies.

    `number` holds the texts of the numbers allowed. `objects` and `arrays` are alternatives, each the state right after
    the opening bracket, and each can be completed.
    """

    null: bool
    true: bool
    false: bool
    string: StringForm | None
    number: Language | None
    objects: tuple[ObjectState, ...]
    arrays: tuple[ArrayState, ...]


@dataclass(frozen=True, slots=True, eq=False)
class KeyClasses:
    """How the names of one object are told apart.

    A declared name has its place in `names` as label, any other name of `classes[j]` the label `len(names) + j`. The
    classes are disjoint; each leaves out the declared names without saying so. A name of neither may not come.
    """

    names: tuple[str, ...]
    classes: tuple[Language, ...]
