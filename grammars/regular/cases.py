"""Letters that Python's `re` takes for the same under `(?i)`, beyond ASCII too."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType

from grammars.regular.charset import SURROGATES, CharSet

__all__ = ["python_cases"]

LAST_CASED = 0x1FFFF
"""Behind it Unicode has no letter with a case."""
FEW = 64
"""Of smaller sets each character is looked up; of greater ones each letter that has a case."""


@lru_cache(maxsize=256)
def python_cases(chars: CharSet) -> CharSet:
    """The characters with all that `re.IGNORECASE` takes for them in a pattern of text without `re.ASCII`."""
    groups = _groups()
    if sum(high - low + 1 for low, high in chars.ranges) <= FEW:
        members = [chr(code) for low, high in chars.ranges for code in range(low, high + 1)]
        keys = {_key(char) for char in members}
    else:
        keys = {key for key, letters in groups.items() if any(letter in chars for letter in letters)}
    return chars | CharSet.chars("".join(groups.get(key, "") for key in keys))


@cache
def _groups() -> Mapping[str, str]:
    """Letters with more than one case, by what they have in common."""
    groups: dict[str, str] = {}
    for code in range(LAST_CASED):
        char = chr(code)
        if not SURROGATES[0] <= code <= SURROGATES[1] and not char.lower() == char == char.upper():
            key = _key(char)
            groups[key] = groups.get(key, "") + char
    return MappingProxyType(groups)


def _key(char: str) -> str:
    """Two letters are the same where their small letters are, or have one capital: long s and s, for example."""
    return char.lower()[0].upper()
