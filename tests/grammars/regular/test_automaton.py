from __future__ import annotations

import pytest

from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.regular.automaton import MAX_AUTOMATON_STATES, MOST_KEPT, Automaton
from grammars.regular.python_syntax import read_python


def automaton(pattern: str) -> Automaton:
    return Automaton(read_python(pattern, unicode=True), repr(pattern))


def first_match(made: Automaton, text: str) -> tuple[int, int] | None:
    """Where the first match to end begins, and where it ends."""
    threads: tuple[int, ...] = ()
    starts: list[int] = []
    before = None
    for place, char in enumerate(text):
        moved = made.advance(threads, before, char)
        starts += [place, place + 1]
        if moved.ended is not None:
            return starts[moved.ended], place + 1
        threads, starts, before = moved.threads, [starts[source] for source in moved.sources], char
    return None


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("ab+c", "xabbc", (1, 5)),
        ("(a+)+b", "aaaab", (0, 5)),
        ("(a+)+b", "aaaaa", None),
        ("bc|abcd", "abcd", (1, 3)),
        ("a$\\n", "a\n", (0, 2)),
        (r"\bcat\b", "a cat", (2, 5)),
        ("(?m)^b", "a\nb", (2, 3)),
        ("(?<=a)", "xa", (2, 2)),
        ("a(?!b)", "ab", (0, 1)),  # as if the text ended behind the a
        ("x(?!)|ab", "xab", (1, 3)),
        ("(?:){99999}a", "a", (0, 1)),
        ("(?:(?:)*)*a", "ba", (1, 2)),
    ],
)
def test_the_match_that_ends_first_is_found_from_its_beginning(pattern, text, found):
    assert first_match(automaton(pattern), text) == found


@pytest.mark.parametrize(("pattern", "empty"), [("a*", True), ("$", True), ("^", True), ("a|", True), ("a", False)])
def test_whether_the_empty_text_matches_is_known(pattern, empty):
    assert automaton(pattern).accepts_empty is empty


def test_of_threads_in_one_state_only_the_oldest_is_kept():
    made = automaton("a+b")
    threads: tuple[int, ...] = ()
    for _ in range(1000):
        threads = made.advance(threads, None, "a").threads
    assert len(threads) == 1


def test_what_is_remembered_is_bounded():
    made = automaton("a[ab]{100}c")
    threads: tuple[int, ...] = ()
    for number in range(3000):
        threads = made.advance(threads, None, "ab"[number * number % 7 % 2]).threads
    assert sum(len(key[0]) + len(moved.threads) + 1 for key, moved in made._known.items()) <= MOST_KEPT


@pytest.mark.parametrize("pattern", [f"a{{{MAX_AUTOMATON_STATES}}}", "((((a{9}){9}){9}){9}){9}", "a{2147483646}"])
def test_too_many_states_are_refused(pattern):
    with pytest.raises(GrammarLimit, match=f"more than {MAX_AUTOMATON_STATES} states"):
        automaton(pattern)


@pytest.mark.parametrize("pattern", ["a(?=bc)", "(?<=ab)c", "a(?!b*)"])
def test_looking_around_widely_is_refused(pattern):
    with pytest.raises(UnsupportedConstraint, match="only at one character"):
        automaton(pattern)
