from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from grammars.json.node import NumberIn
from grammars.json.numbers import number_language
from grammars.regular import shared
from grammars.regular.formats import FORMATS, format_language
from grammars.regular.language import Language, Languages
from grammars.regular.shared import SharedLanguages, SharedState


def follows(language: Language, state: SharedState, rng: random.Random) -> None:
    """The state allows what the language allows, along a random text."""
    for _ in range(40):
        assert state.nullable == language.nullable
        moves, others = language.moves(), state.moves()
        assert [move[:2] for move in moves] == [move[:2] for move in others]
        if not moves:
            return
        chosen = rng.randrange(len(moves))
        language, state = moves[chosen][2], others[chosen][2]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_the_same_for_all(name: str) -> None:
    languages, common = Languages(), SharedLanguages()
    language = format_language(languages, name)
    assert language is not None
    state = common.state(*languages.titles[language])
    for seed in range(5):
        follows(language, state, random.Random(seed))
    again = format_language(other := Languages(), name)
    assert again is not None
    assert common.state(*other.titles[again]) is state
    assert state.name == languages.name_of(language)
    assert state.clipped(1 << 20).name == languages.name_of(languages.clipped(language, 1 << 20))


def test_bounded_numbers_are_shared_and_others_are_not() -> None:
    languages, common = Languages(), SharedLanguages()
    bounded = number_language(languages, NumberIn(Decimal(0), None))
    follows(bounded, common.state(*languages.titles[bounded]), random.Random(1))
    pieces = number_language(languages, ("any", NumberIn(Decimal(5), None), NumberIn(None, Decimal(1))))
    assert pieces not in languages.titles


def test_what_grew_large_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MOST_STATES", 0)
    languages, common = Languages(), SharedLanguages()
    dates, times = format_language(languages, "date"), format_language(languages, "time")
    assert dates is not None
    assert times is not None
    state = common.state(*languages.titles[dates])
    assert common.state(*languages.titles[dates]) is state
    common.state(*languages.titles[times])
    assert common.state(*languages.titles[dates]) is not state
    follows(dates, state, random.Random(2))


def test_threads_ask_at_once() -> None:
    languages, common = Languages(), SharedLanguages()
    addresses = format_language(languages, "email")
    assert addresses is not None
    title = languages.titles[addresses]

    def walk(seed: int) -> None:
        own = Languages()
        language = format_language(own, "email")
        assert language is not None
        follows(language, common.state(*title), random.Random(seed))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(walk, [1, 1, 2, 2, 3, 3, 4, 4]))
