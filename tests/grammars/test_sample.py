from __future__ import annotations

import random
import re

import numpy as np
import pytest

from grammars import GrammarError, Matcher, Regex
from grammars.engines.registry import engine_named
from grammars.grammar import MaskRow
from grammars.sample import byte_vocabulary, sample_text


def start(pattern: str) -> Matcher:
    return engine_named("outlines")(byte_vocabulary()).compile(Regex(pattern)).matcher()


@pytest.mark.parametrize("pattern", ["[a-z]{2,9}", "(ab|cd)*e", '"(?:[^"]|é)*"', "x?"])
def test_samples_match_and_differ(pattern: str) -> None:
    texts = {
        (sample_text(start(pattern), byte_vocabulary(), random.Random(seed)) or b"").decode() for seed in range(20)
    }
    assert all(re.fullmatch(pattern, text) for text in texts)
    assert len(texts) > 1


def test_a_hurried_sample_closes_what_it_can() -> None:
    text = sample_text(start('(\\["[a-z]*"\\])*'), byte_vocabulary(), random.Random(1), hurry=0)
    assert text == b""
    assert (sample_text(start('"[a-z"]*"'), byte_vocabulary(), random.Random(1), hurry=0) or b"") == b'""'


def test_what_does_not_end_is_given_up() -> None:
    assert sample_text(start("a{500}"), byte_vocabulary(), random.Random(1), most=100) is None


def test_a_dead_end_is_an_error() -> None:
    class Stuck:
        def mask_into(self, row: MaskRow) -> None:
            row[:] = np.int32(0)

        def is_complete(self) -> bool:
            return False

    with pytest.raises(GrammarError, match="dead end"):
        sample_text(Stuck(), byte_vocabulary(), random.Random(1))  # type: ignore[arg-type]
