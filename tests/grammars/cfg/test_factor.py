from collections.abc import Callable

import pytest

from grammars.cfg.factor import factored
from grammars.cfg.rules import Call, Production, Rules, Terminal
from grammars.cfg.specs import rules_of
from grammars.library import library_grammar, names
from grammars.regular.language import Languages


def starts(productions: tuple[Production, ...]) -> list[object]:
    return [production[0] if production else None for production in productions]


@pytest.mark.parametrize("name", names())
def test_no_two_productions_begin_alike(name: str, languages: Languages):
    for productions in rules_of(library_grammar(name), languages).productions.values():
        assert len(set(starts(productions))) == len(productions)


def test_calls_are_opened_where_another_production_begins_inside(
    languages: Languages, recognises: Callable[[Rules, str], bool]
):
    a, b, c = (Terminal(languages.literal(text), False) for text in "abc")
    table: dict[str, tuple[Production, ...]] = {
        "S": ((Call("X"), c), (Call("Y"), b), (Call("Y"),)),
        "X": ((Call("Y"),), (b,)),
        "Y": ((a, Call("S"), a), (c,)),
    }
    done = factored(table)
    assert starts(done["S"]) == [Call("Y"), b]
    for text in ("cc", "cb", "c", "bc", "acac", "acca", "ab", "aacaac", "bb", ""):
        assert recognises(Rules("S", done), text) is recognises(Rules("S", table), text), text
