"""Script operations on a session's state, without a model."""

from __future__ import annotations

import pytest

from runtime.errors import RequestCancelled
from runtime.handle import Handle
from runtime.script import Append, Close, Mark, Truncate
from runtime.session_state import SessionState


def test_tokens_keep_their_origins_through_cuts() -> None:
    session = SessionState("", "")
    session.extend([1, 2])
    session.add(3, "generated")
    session.add(4, "forced")
    session.cut(3)
    session.add(5, "prompt")
    assert session.tokens == [1, 2, 3, 5]
    assert session.origins == bytes([0, 0, 1, 0])


def test_failing_abandons_the_whole_script_with_the_first_error() -> None:
    session = SessionState("", "agent")
    first: Handle[int] = Handle()
    later: Handle[int] = Handle()
    session.script.extend([Append([1]), Mark(first), Truncate(0)])
    session.fail(session.cancelled())
    session.script.append(Mark(later))
    session.fail(ValueError("second"))
    for handle in (first, later):
        with pytest.raises(RequestCancelled, match="agent"):
            handle.result()
    assert not session.script
    assert not session.is_ending


def test_a_close_is_not_forgotten_with_the_script() -> None:
    session = SessionState("", "")
    session.script.extend([Append([1]), Close()])
    session.fail(ValueError("x"))
    assert session.is_ending


def test_what_awaits_its_grammar_is_abandoned_too() -> None:
    session = SessionState("", "")
    handle: Handle[int] = Handle()
    session.awaiting = Mark(handle)
    session.fail(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        handle.result()
