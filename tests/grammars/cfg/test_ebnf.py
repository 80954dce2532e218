from collections.abc import Callable

import pytest

from grammars.cfg.ebnf import Ebnf, Expression, Lowering, Repeated, chain, either
from grammars.cfg.progress import rules_of_ebnf
from grammars.cfg.rules import Call, Rules, Terminal
from grammars.errors import GrammarLimit
from grammars.regular.language import Languages


@pytest.mark.parametrize("low", [0, 1, 3, 17, 40])
@pytest.mark.parametrize("more", [0, 1, 2, 15, 16, 17, 33, None])
def test_counts_are_exact(low: int, more: int | None, languages: Languages, recognises: Callable[[Rules, str], bool]):
    high = None if more is None else low + more
    item = chain(Terminal(languages.literal("a"), True), Terminal(languages.literal("b"), True))
    closed = chain(Repeated(item, low, high), Terminal(languages.literal("."), True))
    rules = rules_of_ebnf(Ebnf("S", {"S": closed}), languages)
    for count in {0, low - 1, low, low + 1, low + 16, low + 33, low + 34} - {-1}:
        wanted = low <= count and (high is None or count <= high)
        assert recognises(rules, "ab" * count + ".") is wanted, count


def test_every_count_is_derived_in_one_way_only(languages: Languages):
    productions = Lowering({"S": Repeated(Terminal(languages.literal("a"), True), 0, 100)}).productions

    def num_ways(name: str) -> dict[int, int]:
        ways: dict[int, int] = {}
        for production in productions[name]:
            totals = {0: 1}
            for symbol in production:
                following = num_ways(symbol.rule) if isinstance(symbol, Call) else {1: 1}
                sums: dict[int, int] = {}
                for one, times in totals.items():
                    for other, more in following.items():
                        sums[one + other] = sums.get(one + other, 0) + times * more
                totals = sums
            for count, times in totals.items():
                ways[count] = ways.get(count, 0) + times
        return ways

    assert num_ways("S") == dict.fromkeys(range(101), 1)


def test_great_counts_stay_small(languages: Languages):
    productions = Lowering({"S": Repeated(Terminal(languages.literal("a"), True), 5, 10**9)}).productions
    assert sum(len(production) for these in productions.values() for production in these) < 2000


def test_equal_parts_share_one_helper(languages: Languages):
    part: Expression = Repeated(Terminal(languages.literal("a"), True), 0, None)
    productions = Lowering({"S": chain(part, Call("T")), "T": chain(part, part)}).productions
    assert set(productions) == {"S", "T", "S#1"}


def test_size_is_limited(languages: Languages):
    row = chain(*[Terminal(languages.literal("a"), True)] * 1000)
    with pytest.raises(GrammarLimit, match="more than 100000 symbols"):
        Lowering({f"r{index}": either(row, chain()) for index in range(101)})
