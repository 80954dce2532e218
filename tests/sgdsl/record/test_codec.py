from __future__ import annotations

import json
import math
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sgdsl as sg
from sgdsl.errors import InvalidArgument
from sgdsl.record.codec import decode, encode
from sgdsl.record.entries import Ended, Entry, Header, Instruction, RunEnded, Sample, Scored, StreamBegun, Token
from sgdsl.sampling import Sampling
from sgdsl.source import Source
from sgdsl.usage import Usage

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e6, allow_nan=False)
LOGPROBS = st.none() | st.floats(max_value=0.0, allow_nan=False)
TOKENS = st.lists(st.builds(Token, NUMBERS, TEXTS, TEXTS, LOGPROBS), max_size=3).map(tuple)
ORIGINALS = st.one_of(
    st.builds(
        Instruction, run=NUMBERS, id=NUMBERS, stream=NUMBERS, seconds=SECONDS, kind=TEXTS, name=st.none() | TEXTS,
        source=st.none() | st.builds(Source, TEXTS, NUMBERS, TEXTS), text=TEXTS,
        choices=st.lists(TEXTS, max_size=3).map(tuple), names=st.lists(TEXTS, max_size=3).map(tuple),
        sampling=st.none() | st.builds(
            Sampling, stop=st.none() | st.tuples(TEXTS), logit_bias=st.none() | st.tuples(st.tuples(NUMBERS, SECONDS)),
            seed=st.none() | NUMBERS, ignore_eos=st.none() | st.booleans(), temperature=st.none() | SECONDS,
        ),
    ),
    st.builds(
        Ended, run=NUMBERS, id=NUMBERS, seconds=SECONDS, text=TEXTS, prompt=TOKENS, index=st.none() | NUMBERS,
        samples=st.lists(
            st.builds(Sample, text=TEXTS, tokens=TOKENS, matched_stop=st.none() | TEXTS | NUMBERS), max_size=2
        ).map(tuple),
        scored=st.lists(st.builds(Scored, score=st.floats(allow_nan=False), tokens=TOKENS), max_size=2).map(tuple),
    ),
    st.builds(
        RunEnded, run=NUMBERS, seconds=SECONDS, status=TEXTS, value=TEXTS, usage=st.builds(Usage, gens=NUMBERS),
        variables=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
    ),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(ORIGINALS)
def test_a_line_gives_the_entry_back(entry: Entry) -> None:
    line = encode(entry)
    assert "\n" not in line
    assert decode(line) == entry


def test_a_whole_record_comes_back(recorded: tuple[sg.ProgramState, sg.Recorder]) -> None:
    entries = recorded[1].entries
    kinds = {type(entry) for entry in entries}
    assert {kind.__name__ for kind in get_args(Entry)} - {kind.__name__ for kind in kinds} == {"Failed"}
    assert [decode(encode(entry)) for entry in entries] == entries


def test_what_a_default_says_is_left_out_and_infinity_is_json() -> None:
    assert json.loads(encode(StreamBegun(run=1, stream=0, seconds=0.5))) == {
        "entry": "stream", "run": 1, "stream": 0, "seconds": 0.5,
    }  # fmt: skip
    line = encode(Ended(run=1, id=0, seconds=0.0, scored=(Scored(score=-math.inf),)))
    assert json.loads(line, parse_constant=pytest.fail)["scored"] == [{"score": "-inf"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not an entry of a record"),
        ('{"run": 1}', "not an entry of a record"),
        ('{"entry": "dance"}', "entry='dance' is not allowed: one of record, run"),
        ('{"entry": "record", "version": 2}', "version=2 is not allowed: this sgdsl reads version 1"),
        ('{"entry": "record"}', "version=None is not allowed"),
        ('{"entry": "stream", "run": "x", "stream": 0, "seconds": 0}', "stream.run='x' is not allowed"),
        ('{"entry": "stream", "run": 1, "stream": 0, "seconds": 0, "colour": 1}', "stream.colour=1 is not allowed"),
    ],
)
def test_garbled_lines_are_refused(line: str, reason: str) -> None:
    with pytest.raises(InvalidArgument, match="^" + reason.replace("(", r"\(")):
        decode(line)


def test_a_header_says_its_version() -> None:
    assert json.loads(encode(Header(started_at="now"))) == {"entry": "record", "version": 1, "started_at": "now"}
