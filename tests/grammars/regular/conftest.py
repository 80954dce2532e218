"""Random languages, each with the plain set of its short texts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from grammars.regular.language import Language, Languages

LENGTH = 6
ALL = frozenset("".join(chars) for length in range(LENGTH + 1) for chars in itertools.product("ab", repeat=length))

Described = tuple[Language, frozenset[str]]


class RandomLanguages:
    """Makes a random term and, by the definitions, which of the texts over a and b of at most 6 characters it has."""

    length = LENGTH

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.languages = Languages()

    def any(self, depth: int) -> Described:
        kind = self.random.random()
        if depth == 0 or kind < 0.15:
            return self._simple()
        if kind < 0.75:
            parts = [self.any(depth - 1) for _ in range(self.random.randrange(2, 4))]
            terms, texts = [term for term, _ in parts], [some for _, some in parts]
            if kind < 0.35:
                joint = texts[0]
                for some in texts[1:]:
                    joint = _joined(joint, some)
                return self.languages.concat(*terms), joint
            if kind < 0.55:
                return self.languages.union(*terms), frozenset().union(*texts)
            if kind < 0.65:
                return self.languages.intersect(*terms), texts[0].intersection(*texts)
            return self.languages.complement(terms[0]), ALL - texts[0]
        term, some = self.any(depth - 1)
        low = self.random.randrange(3)
        high = self.random.choice([None, low, low + 1, low + 2])
        return self.languages.repeat(term, low, high), _repeated(some, low, high)

    def _simple(self) -> Described:
        languages, choice = self.languages, self.random.choice
        if self.random.random() < 0.4:
            few = ["".join(choice("ab") for _ in range(self.random.randrange(4))) for _ in range(3)]
            texts = few[: self.random.randrange(4)]
            return languages.literals(texts), frozenset(texts)
        return choice(
            [
                (languages.ranges([(97, 97)]), frozenset("a")),
                (languages.ranges([(98, 98)]), frozenset("b")),
                (languages.ranges([(97, 98)]), frozenset("ab")),
                (languages.any_char, frozenset("ab")),
                (languages.everything, ALL),
                (languages.epsilon, frozenset([""])),
            ]
        )


def _joined(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return frozenset(first + second for first in one for second in other if len(first + second) <= LENGTH)


def _repeated(texts: frozenset[str], low: int, high: int | None) -> frozenset[str]:
    rounds = frozenset([""])
    found: set[str] = set()
    # After so many rounds there is no text that short which another round would add.
    for count in range((low + LENGTH if high is None else high) + 1):
        if count >= low:
            found |= rounds
        rounds = _joined(rounds, texts)
    return frozenset(found)


@pytest.fixture
def random_languages() -> Callable[[int], RandomLanguages]:
    return RandomLanguages
