from collections.abc import Callable

import pytest
from lark import Lark as RealLark
from lark.exceptions import LarkError

from grammars.errors import InvalidSpec
from grammars.library import examples, library_grammar, names
from grammars.spec import Spec

CASES = [(name, text, wanted) for name in names() for wanted in (True, False) for text in examples(name)[not wanted]]


@pytest.fixture(scope="module")
def real() -> Callable[[str], RealLark]:
    made: dict[str, RealLark] = {}

    def named(name: str) -> RealLark:
        if name not in made:
            made[name] = RealLark(library_grammar(name).text, parser="earley", lexer="dynamic")
        return made[name]

    return named


def test_every_grammar_is_there():
    assert names() == (
        "arithmetic",
        "chess_san",
        "csv",
        "iso_dates",
        "json",
        "lisp",
        "python_expression",
        "sql_select",
    )


def test_unknown_names_are_refused():
    with pytest.raises(InvalidSpec, match="'yaml' is not one of arithmetic, chess_san"):
        library_grammar("yaml")


@pytest.mark.parametrize("name", names())
def test_examples(name: str, accepts: Callable[[Spec], Callable[[str], bool]]):
    accepted, rejected = examples(name)
    assert len(accepted) >= 6
    assert len(rejected) >= 5
    recogniser = accepts(library_grammar(name))
    assert [text for text in accepted if not recogniser(text)] == []
    assert [text for text in rejected if recogniser(text)] == []


@pytest.mark.parametrize(("name", "text", "wanted"), CASES)
def test_lark_says_the_same_of_the_examples(name: str, text: str, wanted: bool, real: Callable[[str], RealLark]):
    try:
        real(name).parse(text)
        parsed = True
    except LarkError:
        parsed = False
    assert parsed is wanted
