from __future__ import annotations

import random
from itertools import accumulate

import numpy as np
import pytest

from grammars.machine.engine import MachineEngine
from grammars.machine.kernels import Kernels
from grammars.machine.layout import KEY, RETURN
from grammars.machine.lexeme import Lexemes
from grammars.machine.machine import Machine
from grammars.machine.moves import label_move
from grammars.machine.tables import VocabularyTables
from grammars.regular.language import Languages
from grammars.regular.patterns import pattern_language
from grammars.vocabulary import Vocabulary

TEXTS = [b'"', b'a"', b'aab"', b'ab"', b'b\\"x"', b'\xc3\xa9"', b'zzzzzzzz"']


@pytest.fixture(params=["compiled", "plain"])
def machine(request: pytest.FixtureRequest, vocabulary: Vocabulary, engine: MachineEngine, plain: Kernels) -> Machine:
    tables = engine.tables if request.param == "compiled" else VocabularyTables(vocabulary, kernels=plain)
    return Machine(tables, max_bytes=2**24, languages=Languages())


def read(machine: Machine, state: int, text: bytes) -> int:
    """The move of the last byte of a text; 0 where it cannot be read."""
    move = 0
    for place, byte in enumerate(text):
        move = machine.moves_of(state).get(byte, 0)
        if not move or place == len(text) - 1:
            break
        assert move & 7 == 1
        state = move >> 3
    return move


def test_texts_end_in_a_return(machine: Machine) -> None:
    root = machine.texts(TEXTS)
    assert [read(machine, root, text) for text in TEXTS] == [RETURN] * len(TEXTS)
    assert [read(machine, root, text) for text in (b"c", b'aa"', b'zz"')] == [0] * 3


def test_texts_end_in_labels_and_ask_the_frame(machine: Machine) -> None:
    root = machine.texts(TEXTS, label=7)
    assert [read(machine, root, text) for text in TEXTS] == [label_move(7 + place) for place in range(len(TEXTS))]
    assert machine.heap.data[root] & KEY


def test_other_bytes_are_answered_by_a_lexeme(machine: Machine) -> None:
    languages = Languages()
    lexemes = Lexemes(machine, "canonical")
    root = machine.texts(TEXTS, lexemes.state(pattern_language(languages, "^[a-d]*$")), is_open=False, label=3)
    assert read(machine, root, b'aab"') == label_move(3 + 2)
    assert read(machine, root, b'aac"') == RETURN
    assert read(machine, root, b'e"') == 0


def test_what_only_the_texts_can_follow_is_left_to_them(machine: Machine) -> None:
    languages = Languages()
    other = Lexemes(machine, "canonical").state(languages.literals(("x", "xy")))
    spent = machine.texts([b'x"', b'xy"'], other, is_open=False, label=3)
    kept = machine.texts([b'x"', b'xz"'], other, is_open=False, label=3)
    assert machine.heap.data[spent] & KEY
    assert not machine.heap.data[kept] & KEY


def test_the_number_of_states_is_that_of_beginnings(machine: Machine) -> None:
    rng = random.Random(1)
    for _ in range(50):
        texts = sorted({bytes(rng.choices(b"ab", k=rng.randrange(6))) + b'"' for _ in range(rng.randrange(1, 9))})
        starts = np.array(list(accumulate(map(len, texts), initial=0)), np.int32)
        data = np.frombuffer(b"".join(texts), np.uint8).copy()
        beginnings = {text[:depth] for text in texts for depth in range(len(text))}
        assert machine.tables.kernels.count_states(data, starts) == len(beginnings)
        root = machine.texts(texts)
        assert all(read(machine, root, text) == RETURN for text in texts)
