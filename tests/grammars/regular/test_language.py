from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grammars import GrammarLimit, InvalidSpec
from grammars.deadline import Deadline
from grammars.regular.charset import CharSet
from grammars.regular.language import Language, Languages

MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = given(st.integers(0, 2**32), st.integers(1, 3))


def walked(language: Language, length: int) -> set[str]:
    """Texts over a and b that `moves` leads to, and a look at every move met."""
    found = {""} if language.nullable else set()
    previous = -2
    last: Language | None = None
    for low, high, after in language.moves():
        assert previous < low <= high
        assert not (previous + 1 == low and last is after)
        assert not after.arena.is_empty(after)
        previous, last = high, after
        for char in "ab":
            if low <= ord(char) <= high and length:
                found |= {char + text for text in walked(after, length - 1)}
    return found


@MANY
@SEEDS
def test_a_term_has_the_texts_its_parts_give_it(random_languages: Callable[[int], Any], seed: int, depth: int) -> None:
    made = random_languages(seed)
    term, texts = made.any(depth)
    assert walked(term, made.length) == texts
    assert all(made.languages.accepts(term, text) for text in texts)


@MANY
@SEEDS
def test_lengths_are_those_of_the_texts(random_languages: Callable[[int], Any], seed: int, depth: int) -> None:
    made = random_languages(seed)
    languages: Languages = made.languages
    term, texts = made.any(depth)
    term = languages.intersect(term, languages.repeat(languages.ranges([(97, 98)]), 0, None))
    if languages.is_empty(term):
        assert not texts
        with pytest.raises(InvalidSpec, match="empty"):
            _ = term.shortest
        return
    if texts:
        assert term.shortest == min(map(len, texts))
    else:
        assert term.shortest > made.length
    longest = term.longest
    ends = 50 if longest is None else longest
    assert not languages.is_empty(languages.intersect(term, languages.repeat(languages.any_char, ends, None)))
    if longest is not None:
        assert languages.is_empty(languages.intersect(term, languages.repeat(languages.any_char, ends + 1, None)))


@MANY
@SEEDS
def test_laws_of_sets_hold(random_languages: Callable[[int], Any], seed: int, depth: int) -> None:
    made = random_languages(seed)
    languages: Languages = made.languages
    one, other = made.any(depth)[0], made.any(depth)[0]
    opposite = languages.complement(one)
    assert same(languages, languages.complement(opposite), one)
    assert languages.is_empty(languages.intersect(one, opposite))
    assert languages.is_empty(languages.complement(languages.union(one, opposite)))
    assert same(languages, languages.union(one, other), languages.union(other, one))
    assert same(languages, languages.intersect(one, other), languages.intersect(other, one))
    neither = languages.intersect(opposite, languages.complement(other))
    assert same(languages, languages.complement(languages.union(one, other)), neither)
    assert same(languages, languages.union(one, languages.intersect(one, other)), one)


def same(languages: Languages, one: Language, other: Language) -> bool:
    """Whether two languages have the same texts."""
    complement, intersect = languages.complement, languages.intersect
    return languages.is_empty(intersect(one, complement(other))) and languages.is_empty(
        intersect(other, complement(one))
    )


def test_equal_terms_are_one_object() -> None:
    languages = Languages()
    letters = languages.chars(CharSet.of([(97, 122)]))
    assert letters is languages.ranges([(110, 122), (97, 111)])
    assert languages.repeat(letters, 1, 5) is languages.concat(letters, languages.repeat(letters, 0, 4))
    assert languages.literals(["b", "a", "b"]) is languages.literals(["a", "b"])
    assert languages.complement(languages.complement(letters)) is letters
    assert languages.complement(languages.nothing) is languages.everything
    assert languages.complement(languages.everything) is languages.nothing


@pytest.mark.parametrize("count", [1, 200, 10**9])
def test_a_count_is_one_state_after_another_however_large(count: int) -> None:
    languages = Languages()
    letter = languages.ranges([(97, 122)])
    counted = languages.repeat(letter, 0, count)
    assert counted.moves() == ((97, 122, languages.repeat(letter, 0, count - 1)),)
    assert (counted.shortest, counted.longest) == (0, count)
    assert languages.num_states == 2  # of the letter and of the count: nothing is written out


@pytest.mark.parametrize(("low", "high"), [(-1, None), (3, 2)])
def test_counts_out_of_order_are_refused(low: int, high: int | None) -> None:
    languages = Languages()
    with pytest.raises(InvalidSpec, match="repeat"):
        languages.repeat(languages.any_char, low, high)


def test_everything_is_all_characters_but_surrogates() -> None:
    languages = Languages()
    everything = languages.everything
    assert everything.moves() == ((0, 0xD7FF, everything), (0xE000, 0x10FFFF, everything))
    assert languages.accepts(everything, "\n\0é\U0010ffff")


def test_many_texts_are_one_state_at_a_time() -> None:
    texts = [f"{number:05d}" for number in range(0, 100_000, 10)] + ["é", ""]
    languages = Languages()
    started = time.perf_counter()
    some = languages.literals(texts)
    found = {text for text in ("00010", "99990", "é", "") if languages.accepts(some, text)}
    assert time.perf_counter() - started < 1
    assert found == {"00010", "99990", "é", ""}
    assert not any(languages.accepts(some, text) for text in ("00011", "0001", "000100", "e"))
    assert (some.shortest, some.longest) == (0, 5)
    assert languages.num_states < 20


def test_texts_with_surrogates_are_left_out() -> None:
    languages = Languages()
    assert languages.literal("a\ud800") is languages.nothing
    assert languages.literals(["\udfff", "a"]) is languages.literal("a")


@dataclass(frozen=True)
class Remainder:
    """Digits whose value leaves a remainder, as an automaton from outside."""

    value: int

    @property
    def nullable(self) -> bool:
        return self.value == 0

    def moves(self) -> tuple[tuple[int, int, Remainder], ...]:
        return tuple((48 + digit, 48 + digit, Remainder((self.value * 10 + digit) % 7)) for digit in range(10))


@dataclass(frozen=True)
class Dead:
    nullable: bool = False

    def moves(self) -> tuple[tuple[int, int, Dead], ...]:
        return ()


def test_an_automaton_takes_part_in_everything() -> None:
    languages = Languages()
    sevens = languages.leaf(Remainder(0))
    three = languages.repeat(languages.ranges([(48, 57)]), 3, 3)
    both = languages.intersect(sevens, three, languages.complement(languages.literal("014")))
    accepted = [number for number in range(1000) if languages.accepts(both, f"{number:03d}")]
    assert accepted == [number for number in range(0, 1000, 7) if number != 14]
    assert (both.shortest, both.longest) == (3, 3)
    assert (sevens.shortest, sevens.longest) == (0, None)
    assert languages.leaf(Dead()) is languages.nothing


def test_a_deadline_ends_work() -> None:
    languages = Languages(deadline=Deadline(-1))
    letters = languages.ranges([(97, 98)])
    some = languages.concat(languages.repeat(letters, 0, None), languages.literal("a"), languages.repeat(letters, 9, 9))
    with pytest.raises(GrammarLimit, match="time"):
        languages.accepts(some, "abbaaabab" * 50)


def test_too_many_alternatives_are_refused() -> None:
    languages = Languages(max_items=3)
    with pytest.raises(GrammarLimit, match="at most 3"):
        languages.union(*(languages.literal(f"{number}!!") for number in range(4)))
