r"""Words without keywords: regexes like `(?!(?:if|else)\b)[a-z]\w*`.

A lookahead sees beyond the terminal, which no language of terminals can. This form can be had all the same: where
every text of the rest is a word, the lookahead fails on a keyword exactly where the longest match is that keyword or
might be glued to a letter that is not the rest's; both are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from grammars.cfg.longest import longest_language
from grammars.cfg.preference import Branches, Loop, OneOf, Unless, Way
from grammars.errors import UnsupportedConstraint
from grammars.regular.charset import CharSet

if TYPE_CHECKING:
    from grammars.regular.language import Language, Languages

__all__ = ["language_without_keywords"]


def language_without_keywords(languages: Languages, unless: Unless, way: Way) -> Language:
    """The language of a regex behind a negative lookahead at keywords.

    Raises:
        UnsupportedConstraint: the regex has texts that are no words, or does not end in `*` or `+`, or the keywords
            are unlimited, or only the beginning of one is a text of the regex.
    """
    words = longest_language(languages, way)
    keywords = _any_match(languages, unless.texts)
    last = way[-1] if way else None
    if words is None or not isinstance(last, Loop) or last.high is not None or not isinstance(last.body[0], OneOf):
        raise _unsupported("what follows must end in a repeated character")
    if keywords.longest is None:
        raise _unsupported("the keywords must be of limited length")
    word = re.compile(r"\w*", re.ASCII if unless.ascii else 0)
    if not all(word.fullmatch("".join(map(chr, range(low, high + 1)))) for low, high in _ranges(way)):
        raise _unsupported("what follows must be words")
    no_words = languages.intersect(keywords, languages.complement(words))
    if not languages.is_empty(languages.intersect(no_words, languages.concat(words, languages.everything))):
        raise _unsupported("a keyword must be a word as a whole or not begin one")
    # Any keyword can be continued to a word that is none, so a match never ends early before the end of a keyword.
    return languages.intersect(words, languages.complement(keywords))


def _unsupported(reason: str) -> UnsupportedConstraint:
    return UnsupportedConstraint("negative lookahead", "terminal", reason)


def _ranges(way: Way) -> Iterator[tuple[int, int]]:
    """The characters a regex reads anywhere."""
    for item in way:
        if isinstance(item, OneOf):
            yield from item.ranges
        elif isinstance(item, Branches):
            yield from (pair for option in item.options for pair in _ranges(option))
        elif isinstance(item, Loop):
            yield from _ranges(item.body)


def _any_match(languages: Languages, way: Way) -> Language:
    """All texts a regex may match, whichever it prefers."""
    parts: list[Language] = []
    for item in way:
        if isinstance(item, OneOf):
            parts.append(languages.chars(CharSet(item.ranges)))
        elif isinstance(item, Branches):
            parts.append(languages.union(*(_any_match(languages, option) for option in item.options)))
        elif isinstance(item, Loop):
            parts.append(languages.repeat(_any_match(languages, item.body), item.low, item.high))
        else:
            raise _unsupported("keywords must be plain texts")
    return languages.concat(*parts)
