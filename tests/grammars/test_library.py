import ast
import json
import random
from collections.abc import Callable

import numpy as np
import pytest
from lark import Lark as RealLark
from lark.exceptions import LarkError

from grammars import Grammar, GrammarCompiler, Vocabulary, unpack
from grammars.cfg.specs import rules_of
from grammars.errors import InvalidSpec
from grammars.library import examples, library_grammar, names
from grammars.regular.language import Languages

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
def test_there_are_enough_examples(name: str):
    accepted, rejected = examples(name)
    assert len(accepted) >= 6
    assert len(rejected) >= 5
    assert sum(map(len, rules_of(library_grammar(name), Languages()).productions.values())) < 1000


@pytest.mark.parametrize(("name", "text", "wanted"), CASES)
def test_lark_says_the_same_of_the_examples(name: str, text: str, wanted: bool, real: Callable[[str], RealLark]):
    try:
        real(name).parse(text)
        parsed = True
    except LarkError:
        parsed = False
    assert parsed is wanted


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(Vocabulary([*(bytes([byte]) for byte in range(256)), None], [256]))


@pytest.mark.parametrize("name", names())
def test_examples_token_by_token(name: str, compiler: GrammarCompiler):
    grammar = compiler.compile(library_grammar(name))

    def accepts_bytes(text: str) -> bool:
        matcher = grammar.matcher()
        return all(matcher.accept(byte) for byte in text.encode()) and matcher.is_complete()

    accepted, rejected = examples(name)
    assert [text for text in accepted if not accepts_bytes(text)] == []
    assert [text for text in rejected if accepts_bytes(text)] == []


def random_text(grammar: Grammar, rng: random.Random) -> str | None:
    """A text made of random allowed ASCII characters that ends where it may after some; None where it never could."""
    matcher = grammar.matcher()
    row = np.zeros((1, 9), dtype=np.int32)
    text = ""
    for length in range(60):
        if matcher.is_complete() and length and rng.random() < 0.3:
            return text
        matcher.mask_into(row[0])
        allowed = [token for token in unpack(row, 257)[0].nonzero()[0].tolist() if token in (10, *range(32, 127))]
        if not allowed:
            return None
        token = rng.choice(allowed)
        assert matcher.accept(token)
        text += chr(token)
    return None


@pytest.mark.parametrize("name", names())
def test_random_walks_parse(name: str, compiler: GrammarCompiler, real: Callable[[str], RealLark]):
    rng = random.Random(11)
    grammar = compiler.compile(library_grammar(name))
    texts = {text for _ in range(60) if (text := random_text(grammar, rng)) is not None}
    assert len(texts) >= 3
    for text in texts:
        real(name).parse(text)
        if name == "json":
            json.loads(text)
        if name == "python_expression":
            ast.parse(text.strip(), mode="eval")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("arithmetic", "(" * 60),
        ("arithmetic", "-" * 60),
        ("json", '[{"a":' * 30),
        ("lisp", "('(" * 20),
        ("python_expression", "(" * 60),
        ("python_expression", "[{f(a=" * 10),
        ("sql_select", "SELECT " + "(" * 60),
        ("sql_select", "SELECT CASE WHEN " + "(SELECT x FROM " * 8),
    ],
)
def test_nesting_does_not_multiply_the_ways_to_read(name: str, text: str, compiler: GrammarCompiler):
    matcher = compiler.compile(library_grammar(name)).matcher()
    row = np.zeros(9, dtype=np.int32)
    for byte in text.encode():
        matcher.mask_into(row)
        assert matcher.accept(byte)
