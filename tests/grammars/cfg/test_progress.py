import itertools
import random
from collections.abc import Callable

import pytest

from grammars.cfg.ebnf import Ebnf, Either, Expression, chain, either
from grammars.cfg.progress import rules_of_ebnf
from grammars.cfg.rules import Call, Production, Rules, Terminal
from grammars.errors import InvalidSpec
from grammars.regular.language import Languages

TEXTS = ["".join(chars) for length in range(6) for chars in itertools.product("ab", repeat=length)]


def derived(rules: dict[str, list[Production]], languages: Languages) -> dict[str, set[str]]:
    """The texts of up to five characters that each rule derives: the least fixpoint, by trying everything."""
    texts: dict[str, set[str]] = {name: set() for name in rules}
    own = {
        symbol: {text for text in TEXTS if languages.accepts(symbol.language, text)}
        for productions in rules.values()
        for production in productions
        for symbol in production
        if isinstance(symbol, Terminal)
    }
    changed = True
    while changed:
        changed = False
        for name, productions in rules.items():
            for production in productions:
                found = {""}
                for symbol in production:
                    following = texts[symbol.rule] if isinstance(symbol, Call) else own[symbol]
                    found = {one + other for one in found for other in following if len(one) + len(other) <= 5}
                if not found <= texts[name]:
                    texts[name] |= found
                    changed = True
    return texts


def has_left_recursion(rules: Rules, languages: Languages) -> bool:
    nullable: set[str] = set()
    for _ in rules.productions:
        nullable |= {
            name
            for name, productions in rules.productions.items()
            if any(
                all(
                    symbol.rule in nullable if isinstance(symbol, Call) else symbol.language.nullable
                    for symbol in production
                )
                for production in productions
            )
        }
    edges: set[tuple[str, str]] = set()
    for name, productions in rules.productions.items():
        for production in productions:
            for symbol in production:
                if isinstance(symbol, Call):
                    edges.add((name, symbol.rule))
                if not (symbol.rule in nullable if isinstance(symbol, Call) else symbol.language.nullable):
                    break
    for _ in rules.productions:
        edges |= {(one, last) for one, middle in edges for first, last in edges if middle == first}
    return any(one == other for one, other in edges)


def random_rules(rng: random.Random, languages: Languages) -> dict[str, list[Production]]:
    names = "STUV"[: rng.randint(1, 4)]
    terminals = [
        Terminal(languages.literal("a"), False),
        Terminal(languages.literal("b"), False),
        Terminal(languages.literal("ab"), False),
        Terminal(languages.repeat(languages.literal("a"), 0, 1), False),
        Terminal(languages.nothing, False),
    ]
    symbols = [*map(Call, names), *map(Call, names), *terminals]
    return {
        name: [tuple(rng.choices(symbols, k=rng.choice((0, 1, 1, 2, 2, 3)))) for _ in range(rng.randint(1, 4))]
        for name in names
    }


@pytest.mark.parametrize("seed", range(8))
def test_the_language_stays_the_same_and_left_recursion_goes(seed: int, recognises: Callable[[Rules, str], bool]):
    rng = random.Random(seed)
    for _ in range(60):
        languages = Languages()
        written = random_rules(rng, languages)
        texts = derived(written, languages)["S"]
        ebnf = Ebnf("S", {name: either(*map(_chain, productions)) for name, productions in written.items()})
        if not texts:
            continue  # it has none at all, or only longer ones
        rules = rules_of_ebnf(ebnf, languages)
        assert not has_left_recursion(rules, languages)
        assert {text for text in TEXTS if recognises(rules, text)} == texts


def _chain(production: Production) -> Expression:
    return chain(*production)


def test_every_rule_left_is_reachable_and_derives_something(languages: Languages):
    a = Terminal(languages.literal("a"), False)
    rules = {"S": Either((a, chain(Call("dead"), a))), "dead": chain(a, Call("dead")), "alone": a}
    assert rules_of_ebnf(Ebnf("S", rules), languages).productions == {"S": ((a,),)}


def test_no_text_at_all_is_refused(languages: Languages):
    rules: dict[str, Expression] = {"S": chain(Terminal(languages.literal("a"), False), Call("S"))}
    with pytest.raises(InvalidSpec, match="no text can be derived from rule S"):
        rules_of_ebnf(Ebnf("S", rules), languages)


def test_calls_of_missing_rules_are_refused(languages: Languages):
    with pytest.raises(InvalidSpec, match="rule S uses T, which is not defined"):
        rules_of_ebnf(Ebnf("S", {"S": Call("T")}), languages)
    with pytest.raises(InvalidSpec, match="no rule S"):
        rules_of_ebnf(Ebnf("S", {}), languages)


def test_many_optional_symbols_in_a_row_stay_small(languages: Languages):
    options = [Either((Terminal(languages.literal(chr(0x4E00 + index)), True), chain())) for index in range(2000)]
    rules = rules_of_ebnf(Ebnf("S", {"S": chain(*options)}), languages)
    assert sum(len(production) for productions in rules.productions.values() for production in productions) < 60_000
