"""How the terms of regular languages are simplified while they are made, so that derivatives stay few.

Each function is given terms that are simplified already and says what the arena is to make of them; all rules are
exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from grammars.regular.charset import common
from grammars.regular.kinds import Chars, Complement, Concat, Intersection, Repeat, Texts, Union
from grammars.regular.term import Language

if TYPE_CHECKING:
    from grammars.regular.language import Languages

__all__ = ["chained", "intersected", "opposite", "power", "repeated", "united"]

SMALL = 64
"""Sets of at most so many texts are intersected by trying each text."""


def power(language: Language) -> tuple[Language, int, int | None]:
    """A language as a repetition: what is repeated, how often at least, how often at most."""
    if isinstance(language, Repeat):
        return language.item, language.low, language.high
    return language, 1, 1


def repeated(arena: Languages, item: Language, low: int, high: int | None) -> Language:
    """`item` repeated; `low` and `high` are in order."""
    if high == 0 or item is arena.epsilon:
        return arena.epsilon
    if item is arena.nothing:
        return arena.epsilon if low == 0 else item
    if isinstance(item, Union) and arena.epsilon in item.items:
        return repeated(arena, arena.union(*(part for part in item.items if part is not arena.epsilon)), 0, high)
    if isinstance(item, Repeat):
        base, least, most = power(item)
        # The numbers k·least .. k·most leave no gap between one k and the next if they leave none at the first.
        # With low = 0 that is from 0 to least.
        gapless = low == high or (least <= 1 if low == 0 else most is None or (low + 1) * least <= low * most + 1)
        if gapless:
            return arena.make_repeat(base, low * least, None if high is None or most is None else high * most)
    if item.nullable:
        low = 0
    return item if (low, high) == (1, 1) else arena.make_repeat(item, low, high)


def chained(arena: Languages, head: Language, tail: Language) -> Language:
    """`head`, which is no concatenation, then `tail`."""
    if head is arena.nothing or tail is arena.nothing:
        return arena.nothing
    if head is arena.epsilon:
        return tail
    if tail is arena.epsilon:
        return head
    first, rest = (tail.head, tail.tail) if isinstance(tail, Concat) else (tail, arena.epsilon)
    base, low, high = power(head)
    next_base, next_low, next_high = power(first)
    if base is next_base:
        most = None if high is None or next_high is None else high + next_high
        return chained(arena, arena.repeat(base, low + next_low, most), rest)
    if first is arena.everything and low != high:
        # What comes after the needed ones is anything.
        return chained(arena, arena.repeat(base, low, low), tail)
    if head is arena.everything and next_low != next_high:
        return chained(arena, head, arena.concat(arena.repeat(next_base, next_low, next_low), rest))
    if (first is arena.everything and head.nullable) or (head is arena.everything and first.nullable):
        return tail if first is arena.everything else chained(arena, head, rest)
    return arena.make_concat(head, tail)


def united(arena: Languages, languages: Iterable[Language]) -> Language:
    """Texts of any of the languages."""
    items = _flat(languages, Union)
    if arena.everything in items:
        return arena.everything
    items.pop(arena.nothing, None)
    complements = [item for item in items if isinstance(item, Complement)]
    if complements:
        if any(item.item in items for item in complements):
            return arena.everything
        if len(complements) > 1:
            joint = arena.complement(arena.intersect(*(item.item for item in complements)))
            return arena.union(joint, *(item for item in items if not isinstance(item, Complement)))
    if len(items) > 1:
        _unite_chars(arena, items)
        _unite_powers(arena, items)
        _drop_endings(arena, items)
        _drop_skipped(items)
        _drop_epsilon(arena, items)
    return arena.everything if arena.everything in items else arena.make_union(items)


def _flat(languages: Iterable[Language], kind: type[Union] | type[Intersection]) -> dict[Language, None]:
    items: dict[Language, None] = {}
    for language in languages:
        if isinstance(language, kind):
            items.update(dict.fromkeys(language.items))
        else:
            items[language] = None
    return items


def _unite_chars(arena: Languages, items: dict[Language, None]) -> None:
    """Makes one set of all sets of characters."""
    sets = [item for item in items if isinstance(item, Chars)]
    if len(sets) > 1:
        for item in sets:
            del items[item]
        items[arena.ranges([pair for item in sets for pair in item.ranges])] = None


def _unite_powers(arena: Languages, items: dict[Language, None]) -> None:
    """X{a,b}·T ∪ X{c,d}·T = X{a,d}·T where the counts overlap or touch; T itself is X{0,0}·T."""
    groups: dict[tuple[Language, Language], list[tuple[Language, int, int | None]]] = {}
    for item in items:
        head, tail = (item.head, item.tail) if isinstance(item, Concat) else (item, arena.epsilon)
        if isinstance(head, (Repeat, Chars)):
            base, low, high = power(head)
            groups.setdefault((base, tail), []).append((item, low, high))
    for (base, tail), members in groups.items():
        if tail in items and tail is not arena.epsilon:
            members.append((tail, 0, 0))
        if len(members) < 2:
            continue
        members.sort(key=lambda member: member[1])
        merged: list[tuple[int, int | None]] = []
        for item, low, high in members:
            items.pop(item, None)
            if merged and (merged[-1][1] is None or low <= merged[-1][1] + 1):
                last = merged[-1][1]
                merged[-1] = (merged[-1][0], None if last is None or high is None else max(last, high))
            else:
                merged.append((low, high))
        for low, high in merged:
            items[arena.concat(arena.repeat(base, low, high), tail)] = None


def _drop_endings(arena: Languages, items: dict[Language, None]) -> None:
    """Σ*·R contains whatever ends with R."""
    endings = {item.tail for item in items if isinstance(item, Concat) and item.head is arena.everything}
    if not endings:
        return
    for item in list(items):
        here: Language = item
        if isinstance(here, Concat) and here.head is arena.everything:
            here = here.tail
            if not isinstance(here, Concat):
                continue
            here = here.tail
        while here not in endings and isinstance(here, Concat):
            here = here.tail
        if here in endings:
            del items[item]


def _drop_skipped(items: dict[Language, None]) -> None:
    """X·R contains R where X may be empty."""
    contained: set[Language] = set()
    for item in items:
        here = item
        while isinstance(here, Concat) and here.head.nullable and here.tail not in contained:
            here = here.tail
            contained.add(here)
    for item in contained & items.keys():
        del items[item]


def _drop_epsilon(arena: Languages, items: dict[Language, None]) -> None:
    """Puts the empty text into a repetition from 1, and drops it where another item has it."""
    if arena.epsilon not in items or len(items) == 1:
        return
    del items[arena.epsilon]
    if any(item.nullable for item in items):
        return
    for item in items:
        if len(items) == 1 or (isinstance(item, Repeat) and item.low == 1):
            base, low, high = power(item)
            if low != 1:
                base, high = item, 1
            del items[item]
            items[arena.repeat(base, 0, high)] = None
            return
    items[arena.epsilon] = None


def intersected(arena: Languages, languages: Iterable[Language]) -> Language:
    """Texts of all of the languages."""
    items = _flat(languages, Intersection)
    items.pop(arena.everything, None)
    if arena.nothing in items:
        return arena.nothing
    if arena.epsilon in items:
        return arena.epsilon if all(item.nullable for item in items) else arena.nothing
    if len(items) > 1:
        for step in (_join_complements, _join_char_powers, _try_texts, _compare_lengths):
            if step(arena, items):
                return arena.nothing
            if len(items) < 2:
                break
    return arena.make_intersection(items)


def _join_complements(arena: Languages, items: dict[Language, None]) -> bool:
    """¬A ∩ ¬B = ¬(A ∪ B); true if that and an item contradict each other."""
    complements = [item for item in items if isinstance(item, Complement)]
    if not complements:
        return False
    for item in complements:
        del items[item]
    joint = arena.complement(arena.union(*(item.item for item in complements)))
    if isinstance(joint, Complement):
        inner = joint.item
        if inner in items or (isinstance(inner, Union) and any(item in items for item in inner.items)):
            return True
    if joint is not arena.everything:
        items[joint] = None
    return joint is arena.nothing


def _join_char_powers(arena: Languages, items: dict[Language, None]) -> bool:
    """C{a,b} ∩ D{c,d} = (C ∩ D){max(a,c), min(b,d)} for sets of characters; true if nothing is left."""
    powers = [item for item in items if isinstance(power(item)[0], Chars)]
    if len(powers) < 2:
        return False
    ranges: Sequence[tuple[int, int]] | None = None
    low, high = 0, None
    for item in powers:
        base, least, most = power(item)
        assert isinstance(base, Chars)
        ranges = base.ranges if ranges is None else common(ranges, base.ranges)
        low = max(low, least)
        high = most if high is None or (most is not None and most < high) else high
        del items[item]
    if high is not None and low > high:
        return True
    joint = arena.repeat(arena.ranges(ranges or ()), low, high)
    items[joint] = None
    return joint is arena.nothing


def _try_texts(arena: Languages, items: dict[Language, None]) -> bool:
    """Keeps those of a few texts that every other item contains; true if there are none."""
    if not arena.explorable:
        return False
    few = next((item for item in items if isinstance(item, Texts) and item.high - item.low <= SMALL), None)
    if few is None:
        return False
    others = [item for item in items if item is not few]
    kept = arena.literals([text for text in few.rests() if all(item.contains(text) for item in others)])
    items.clear()
    items[kept] = None
    return kept is arena.nothing


def _compare_lengths(arena: Languages, items: dict[Language, None]) -> bool:
    """Drops a bound on the length that another item keeps anyway; true if another item breaks it always."""
    for item in list(items):
        base, low, high = power(item)
        if base is not arena.any_char:
            continue
        for other in items:
            if other is item or not other.structural:
                continue
            shortest, longest = other.shortest, other.longest
            if (longest is not None and longest < low) or (high is not None and shortest > high):
                return True
            if low <= shortest and (high is None or (longest is not None and longest <= high)):
                del items[item]
                break
    return False


def opposite(arena: Languages, language: Language) -> Language:
    """All texts that are not in a language."""
    if language is arena.epsilon:
        return arena.repeat(arena.any_char, 1, None)
    base, low, high = power(language)
    if not isinstance(base, Chars):
        return arena.make_complement(language)
    other = arena.ranges(arena.gaps(base.ranges))
    ways = [arena.concat(arena.repeat(base, 0, None), other, arena.everything)]
    if low > 0:
        ways.append(arena.repeat(base, 0, low - 1))
    if high is not None:
        ways.append(arena.repeat(base, high + 1, None))
    return arena.union(*ways)
