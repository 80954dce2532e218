from __future__ import annotations

import gc
import weakref

from grammars import GrammarLimit, InvalidSpec, Regex
from grammars.errors import GrammarCancelled, GrammarError, GrammarTimeout, UnsupportedConstraint
from runtime.failures import Failures


def test_the_errors_used_last_are_kept() -> None:
    failures = Failures(2)
    for pattern in "ab":
        failures.keep(Regex(pattern), InvalidSpec(pattern))
    assert str(failures.find(Regex("a"))) == "a"
    failures.keep(Regex("c"), UnsupportedConstraint("lookbehind", "3"))
    assert failures.find(Regex("b")) is None
    assert str(failures.find(Regex("a"))) == "a"
    assert str(failures.find(Regex("c"))) == "lookbehind at 3: not supported"


def test_what_may_be_otherwise_the_next_time_is_not_kept() -> None:
    failures = Failures(9)
    passing: list[GrammarError] = [GrammarTimeout("late"), GrammarCancelled("gone")]
    for error in passing:
        failures.keep(Regex("a"), error)
        assert failures.find(Regex("a")) is None
    failures.keep(Regex("a"), GrammarLimit("large"))
    assert failures.find(Regex("a")) is not None


def test_an_error_holds_on_to_nothing() -> None:
    class Large:
        pass

    def fail() -> weakref.ref[Large]:
        large = Large()
        try:
            try:
                raise KeyError(large)
            except KeyError as error:
                raise InvalidSpec("a") from error
        except InvalidSpec as error:
            failures.keep(Regex("a"), error)
        return weakref.ref(large)

    failures = Failures(1)
    gone = fail()
    gc.collect()
    assert gone() is None
    assert failures.find(Regex("a")) is not failures.find(Regex("a")), "each reader raises an object of its own"
