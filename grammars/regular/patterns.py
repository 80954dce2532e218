"""The language of a regular expression."""

from __future__ import annotations

from typing import Literal

from grammars.regular.compiler import PatternCompiler
from grammars.regular.ecma_syntax import read_ecma
from grammars.regular.language import Language, Languages
from grammars.regular.python_syntax import read_python
from grammars.regular.syntax import shown

__all__ = ["pattern_language"]


def pattern_language(
    languages: Languages,
    pattern: str,
    *,
    dialect: Literal["python", "ecma"] = "python",
    search: bool = False,
    either: bool = False,
) -> Language:
    """The texts that a regular expression matches.

    Lookahead, word boundaries and anchors are exact wherever they stand; so is lookbehind at one character, and any
    lookbehind that a searching pattern begins with.

    Args:
        languages: the arena.
        pattern: the expression.
        dialect: "python" reads it as `re.compile(pattern, re.ASCII)` would, "ecma" as JSON Schema's `pattern`, which
            matches only what ECMA 262 and Python agree on.
        search: whether it may match anywhere in the text, instead of being the whole text.
        either: whether what matches in one of the two dialects of `pattern` is wanted, instead of what matches in
            both. To forbid a pattern, forbid this.

    Raises:
        InvalidSpec: the pattern does not parse.
        UnsupportedConstraint: it refers to groups, or uses what is no regular language or not known here.
        GrammarLimit: it is too long, nested too deeply or repeats a lookaround too often.
    """
    node = read_ecma(pattern, either=either) if dialect == "ecma" else read_python(pattern)
    return PatternCompiler(languages, node, shown(pattern)).language(search)
