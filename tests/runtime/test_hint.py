"""Hints: what programs tell of their future reaches the session it is told of, at its place in the script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.engine import Engine
from runtime.hint import Hint
from runtime.sampling.params import SamplingParams

Clean = Callable[[Engine], None]


def test_a_hint_adds_to_what_was_known() -> None:
    first = Hint(gang=3, remaining_calls=4)
    assert first.over(None) == first
    assert Hint(remaining_calls=0, extends_again=False).over(first) == Hint(
        gang=3, remaining_calls=0, extends_again=False
    )


def test_hints_reach_the_session_in_the_order_of_its_script(engine: Engine, assert_nothing_held: Clean) -> None:
    seen: list[Hint | None] = []
    session = engine.open()
    session.append("the ")
    session.hint(Hint(remaining_calls=2))
    session.append("then")
    child = session.fork(1)[0]
    child.hint(Hint(gang=7))
    assert engine.stats()["hints"] == 0
    session.generate(SamplingParams(max_new_tokens=2)).result(timeout=20)
    child.generate(SamplingParams(max_new_tokens=2)).result(timeout=20)
    session.hint(Hint(remaining_tokens=5))
    session.mark().result(timeout=20)
    seen += [session._state.hint, child._state.hint]
    assert seen == [Hint(remaining_calls=2, remaining_tokens=5), Hint(gang=7)]
    assert engine.stats()["hints"] == 3
    child.close()
    session.close()
    assert_nothing_held(engine)


def test_a_hint_leaves_the_text_before_it_open_to_healing(engine: Engine) -> None:
    def chosen(hint: bool) -> Any:
        with engine.open() as session:
            session.append("is it th")
            if hint:
                session.hint(Hint(extends_again=True))
            return session.score(["ere", "in"], lambda rows: 0).result(timeout=20).token_ids

    assert chosen(True) == chosen(False)
