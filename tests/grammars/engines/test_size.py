from __future__ import annotations

import time

import pytest

from grammars import GrammarLimit
from grammars.engines.outlines import automaton_of
from grammars.engines.size import check_size, num_positions
from grammars.regular.pattern import parse_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        *(".{1,100000}", "(a|b)*a(a|b){30}", "(a|b){0,30}a(a|b){30}", "((a{1,100}){1,100}){1,100}", "(a?){5000}"),
        *("(){4000000000}", "(((a*)*)*){30000}", ".*a.{60}"),
    ],
)
def test_what_would_grow_too_large_is_refused_quickly(pattern: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(GrammarLimit):
        automaton_of(parse_pattern(pattern), 16_384)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("pattern", ["(x+x+)+y", "(a*)*b", ".{1,1000}", "(.*)(.*)(.*)=(.*)", "a{1,10000}", "(a?){80}"])
def test_what_only_looks_dangerous_is_built(pattern: str) -> None:
    assert automaton_of(parse_pattern(pattern), 16_384).num_states <= 16_384


def test_positions_are_counted_written_out() -> None:
    assert num_positions(parse_pattern("(ab){3}c*")) == 7
    with pytest.raises(GrammarLimit, match="2001"):
        check_size(parse_pattern("a{2001}"), 1000)


def test_the_limit_on_states_holds_for_bytes_too() -> None:
    with pytest.raises(GrammarLimit, match="at most 20 are allowed"):
        automaton_of(parse_pattern(".{4}"), 20)
