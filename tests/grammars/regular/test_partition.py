from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from grammars.regular.language import Language, Languages
from grammars.regular.partition import ALPHABET, Moves, cover, joined, mapped, overlaid

CODES = range(20)
PARTS = st.lists(st.lists(st.integers(-1, 3), min_size=20, max_size=20), min_size=1, max_size=4)


def partition(successors: list[Language], numbers: list[int]) -> Moves:
    """The partition that sends each code to the successor with its number; nowhere for -1."""
    return joined((code, code, successors[number]) for code, number in zip(CODES, numbers, strict=True) if number >= 0)


def after(moves: Moves, code: int) -> Language | None:
    return next((successor for low, high, successor in moves if low <= code <= high), None)


def successors(languages: Languages) -> list[Language]:
    return [languages.literal(text) for text in ("zz", "yy", "xx", "ww")]


@given(PARTS)
def test_overlaying_combines_what_each_part_says_of_a_character(numbers: list[list[int]]) -> None:
    languages = Languages()
    parts = [partition(successors(languages), some) for some in numbers]
    together = overlaid(parts, lambda afters: languages.union(*afters))
    for code in CODES:
        each = [some for some in (after(part, code) for part in parts) if some is not None]
        assert after(together, code) is (languages.union(*each) if each else None)
    assert all(one[1] < other[0] for one, other in pairwise(together))
    assert not any(one[1] + 1 == other[0] and one[2] is other[2] for one, other in pairwise(together))


@given(PARTS)
def test_covering_gives_every_other_character_the_rest(numbers: list[list[int]]) -> None:
    languages = Languages()
    dropped = successors(languages)[0]
    part = partition(successors(languages), numbers[0])
    covered = cover(part, lambda one: None if one is dropped else languages.epsilon, languages.everything)
    for code in CODES:
        here = after(part, code)
        expected = languages.everything if here is None else None if here is dropped else languages.epsilon
        assert after(covered, code) is expected
    assert after(covered, ALPHABET[0][1]) is after(covered, ALPHABET[1][0]) is languages.everything
    assert after(covered, 0xD800) is None


def test_neighbours_that_become_the_same_are_joined() -> None:
    languages = Languages()
    one, other, third, _ = successors(languages)
    moves = ((1, 2, one), (3, 5, other), (7, 7, one), (8, 9, third))
    assert mapped(moves, lambda some: None if some is third else languages.epsilon) == (
        (1, 5, languages.epsilon),
        (7, 7, languages.epsilon),
    )
