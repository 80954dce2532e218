from collections.abc import Callable

import pytest

from grammars.cfg.rules import Embedded
from grammars.cfg.specs import rules_of
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.regular.language import Languages
from grammars.spec import (
    AnyOf,
    Choice,
    FreeText,
    Gbnf,
    JsonObject,
    JsonSchema,
    Lark,
    Regex,
    Repeat,
    Sequence,
    Spec,
    SpecialToken,
    Stop,
    StructuralTag,
    Suffix,
    Tag,
)

WORDS = Lark('start: word ("," word)*\nword: /[a-z]+/')
ROOT = Gbnf('root ::= "(" root ")" | [0-9]')
CASES: list[tuple[Spec, list[str], list[str]]] = [
    (Regex("a|b+"), ["a", "bb"], ["", "ab"]),
    (Choice(("yes", "no", "né")), ["yes", "né"], ["y", ""]),
    (JsonObject(), ["{}"], ["[]"]),
    (SpecialToken("<|end|>"), ["<|end|>"], [""]),
    (FreeText(), ["", "any\nthing"], []),
    (FreeText(("b", "cc")), ["", "ac"], ["ab", "acc"]),
    (Stop(("END", "\n")), ["END", "abc\n"], ["", "abc", "\nEND", "ENDEND"]),
    (Stop((".",), Regex("[a-c.]{2}")), ["ab."], ["a.", "a..", "abc.", "a.b."]),
    (Stop((".",), Choice(("a", "a.b"))), ["a."], ["a.b."]),
    (Suffix(ROOT, ")"), ["1)", "((1)))"], ["(1)", "1"]),
    (Sequence(("<", WORDS, ">", ROOT, WORDS)), ["<a,b>1c", "<a>(1)c,d"], ["<a>", "a>1c"]),
    (AnyOf((WORDS, ROOT, Regex("[A-Z]"))), ["a,b", "(1)", "A"], ["A1", ""]),
    (Repeat(ROOT, 2, 3), ["11", "1(2)3"], ["1", "1111"]),
    (Repeat(Sequence((ROOT, ";"))), ["", "1;(2);"], ["1"]),
    (Repeat(ROOT, 0, 0), [""], ["1"]),
    (
        StructuralTag((Tag("[[", StructuralTag((Tag("<", ROOT, (">",)),), ("<",)), ("]]",)),), ("[[",)),
        ["a[[b<1>c]]d", "[[]]"],
        ["[[<]]"],
    ),
]


@pytest.mark.parametrize(("spec", "right", "wrong"), CASES, ids=[f"{type(case[0]).__name__}" for case in CASES])
def test_texts(spec: Spec, right: list[str], wrong: list[str], accepts: Callable[[Spec], Callable[[str], bool]]):
    accepted = accepts(spec)
    assert [text for text in right if not accepted(text)] == []
    assert [text for text in wrong if accepted(text)] == []


def test_schemas_are_left_to_be_read_by_others(languages: Languages):
    schema = JsonSchema('{"type": "nonsense"}')
    rules = rules_of(schema, languages)
    assert rules.productions == {rules.start: ((Embedded(schema),),)}


def test_a_stop_cannot_be_held_to_behind_a_grammar(languages: Languages):
    with pytest.raises(UnsupportedConstraint, match="stops at Lark"):
        rules_of(Stop((".",), WORDS), languages)


@pytest.mark.parametrize("spec", [Regex("a(?!a)a"), Stop(("a",), Regex("a+")), AnyOf((Stop(("a",), Regex("a")),))])
def test_specs_without_a_text_are_refused(spec: Spec, languages: Languages):
    with pytest.raises(InvalidSpec, match="no text can be derived"):
        rules_of(spec, languages)


def test_deep_specs_end_in_a_limit(languages: Languages):
    spec: Spec = Regex("a")
    for _ in range(40):
        spec = Repeat(Sequence((spec, "b")))
    assert rules_of(spec, languages).productions
    for _ in range(20_000):
        spec = AnyOf((spec, Regex("c")))
    with pytest.raises(GrammarLimit, match="nested too deeply"):
        rules_of(spec, languages)
