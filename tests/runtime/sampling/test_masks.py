from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import unpack
from runtime.constraint.staged import Staged
from runtime.sampling.masks import GrammarMasks


@given(st.integers(1, 130), st.data())
def test_exactly_the_allowed_tokens_of_masked_rows_stay(make_row, vocab_size, data):
    allowed = data.draw(st.lists(st.none() | st.sets(st.integers(0, vocab_size - 1)), min_size=1, max_size=4))
    rows = [make_row(allow=tokens) for tokens in allowed]
    masks = GrammarMasks(vocab_size)
    if data.draw(st.booleans()):
        masks.begin(rows)
    words, errors = masks.take(rows)
    masks.close()
    assert errors == {}
    if all(tokens is None for tokens in allowed):
        assert words is None
        return
    assert words is not None
    for line, tokens in zip(unpack(words, vocab_size), allowed, strict=True):
        assert set(np.flatnonzero(line)) == (set(range(vocab_size)) if tokens is None else tokens)


class Slow:
    """Fills its mask only after `gate` opens."""

    def __init__(self, fail=False):
        self.gate = threading.Event()
        self.thread = ""
        self.fail = fail

    def mask_into(self, row):
        assert self.gate.wait(10)
        self.thread = threading.current_thread().name
        if self.fail:
            raise RuntimeError("broken")
        row.fill(2)


def test_masks_are_filled_beside_the_caller(make_row):
    row = make_row()
    row.matcher = Slow()
    masks = GrammarMasks(64)
    masks.begin([row])
    row.matcher.gate.set()  # had begin() not returned, nobody would open it
    words, errors = masks.take([row])
    assert (words.tolist(), errors) == ([[2, 2]], {})
    assert "sgdsl-masks" in row.matcher.thread
    assert masks.seconds > 0
    masks.close()


def test_masks_nobody_took_do_not_become_those_of_the_next_rows(make_row):
    failed, after = make_row(), make_row(allow={0})
    failed.matcher = Slow()
    failed.matcher.gate.set()
    masks = GrammarMasks(32)
    masks.begin([failed])
    assert masks.take([after])[0].tolist() == [[1]]
    masks.begin([failed])
    masks.begin([after, failed])
    assert masks.take([after, failed])[0].tolist() == [[1], [2]]
    assert masks.take([make_row()])[0] is None
    masks.close()


def test_a_broken_grammar_harms_its_row_alone(make_row):
    rows = [make_row(allow={3}), make_row(), make_row(allow={4}), make_row()]
    rows[1].matcher = Slow(fail=True)
    rows[1].matcher.gate.set()
    masks = GrammarMasks(32)
    words, errors = masks.take(rows)
    assert {place: str(error) for place, error in errors.items()} == {1: "broken"}
    assert words[[0, 2, 3]].tolist() == [[8], [16], [-1]]
    masks.close()


@pytest.mark.parametrize("vocab_size", [32, 40])
def test_held_tokens_are_taken_out_unless_nothing_else_is_left(make_row, vocab_size):
    held = {"min_new_tokens": 2, "ends": {5}, "stop_token_ids": (7, 4000)}
    rows = [
        make_row(**held),
        make_row(**held, allow={5, 7, 9}),
        make_row(**held, allow={5, 7}),
        make_row(**held, allow={5, 7, 9}, output=[0, 0]),
    ]
    masks = GrammarMasks(vocab_size)
    words, _ = masks.take(rows)
    left = [set(np.flatnonzero(line)) for line in unpack(words, vocab_size)]
    assert left == [set(range(vocab_size)) - {5, 7}, {9}, {5, 7}, {5, 7, 9}]
    masks.close()


def test_a_stage_that_is_over_is_passed_by(make_row):
    class Over(Staged):
        def _advance(self, token):
            raise AssertionError

        def _fill(self, row):
            raise AssertionError

    inner = make_row(allow={1}).matcher
    row, free = make_row(), make_row()
    row.matcher = Over(Over(inner, -1), -1)
    free.matcher = Over(None, -1)
    masks = GrammarMasks(32)
    assert masks.take([row])[0].tolist() == [[2]]
    assert masks.take([free])[0] is None
    masks.close()
