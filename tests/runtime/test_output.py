"""Output against a plain reading of the whole text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import GrammarError
from runtime.output import Output
from runtime.sampling.params import SamplingParams

PIECES = [
    b"a",
    b"b",
    b"ab",
    b"ST",
    b"OP",
    b"STOP",
    b"xSTOPy",
    b"O",
    b"P\xc3",
    b"\xa9",
    "é".encode(),
    b"\xf0\x9f",
    b"\x98\x80",
    b"",
]
TABLE = [*PIECES, None]
END = len(PIECES)


def feed(output: Output, tokens: list[int]) -> list[str]:
    texts = []
    for token in tokens:
        texts.append(output.push(token, None).text)
        if output.finish is not None:
            break
    return texts


def make(limit: int = 100, **params: object) -> Output:
    return Output(SamplingParams(**params), TABLE, (END,), limit)


def tokens_of(*pieces: bytes) -> list[int]:
    return [PIECES.index(piece) for piece in pieces]


def test_a_stop_across_tokens_is_never_shown() -> None:
    output = make(stop=("STOP",))
    assert feed(output, tokens_of(b"a", b"ST", b"OP", b"b")) == ["a", "", ""]
    assert output.finish is not None
    assert (output.finish.reason, output.finish.matched) == ("stop", "STOP")
    assert (output.finish.num_kept, output.finish.rest, output.text) == (1, "", "a")
    assert output.num_tokens == 3


def test_a_stop_inside_a_token_keeps_the_text_before_it() -> None:
    output = make(stop=("STOP",))
    assert feed(output, tokens_of(b"ab", b"xSTOPy")) == ["ab", "x"]
    assert output.finish is not None
    assert (output.finish.num_kept, output.finish.rest) == (1, "x")


def test_a_stop_that_begins_in_an_earlier_token() -> None:
    output = make(stop=("bSTOP",))
    assert feed(output, tokens_of(b"a", b"ab", b"ST", b"OP")) == ["a", "a", "", ""]
    assert output.finish is not None
    assert (output.finish.num_kept, output.finish.rest) == (1, "a")


def test_a_false_alarm_is_let_go() -> None:
    output = make(stop=("STOP",))
    assert feed(output, tokens_of(b"ST", b"O", b"a")) == ["", "", "STOa"]
    assert output.finish is None


def test_a_stop_of_a_character_in_two_tokens() -> None:
    output = make(stop=("é",))
    assert feed(output, tokens_of(b"O", b"P\xc3", b"\xa9")) == ["O", "P", ""]
    assert output.finish is not None
    # The token that holds half of the stop's character does not belong to the text whole.
    assert (output.finish.num_kept, output.finish.rest, output.text) == (1, "P", "OP")


def test_what_is_held_back_comes_at_the_end_for_length_and_at_the_end_token() -> None:
    output = make(limit=2, stop=("STOP",))
    assert feed(output, tokens_of(b"a", b"ST")) == ["a", "ST"]
    assert output.finish is not None
    assert (output.finish.reason, output.finish.num_kept) == ("length", 2)
    output = make(stop=("STOP",))
    assert feed(output, [*tokens_of(b"ST"), END]) == ["", "ST"]
    assert output.finish is not None
    assert (output.finish.reason, output.finish.matched, output.finish.num_kept) == ("stop", END, 1)


def test_ends_may_be_ignored_or_added() -> None:
    output = make(ignore_eos=True, stop_token_ids=(0,))
    assert feed(output, [1, END, 1, 0]) == ["b", "", "b", ""]
    assert output.finish is not None
    assert (output.finish.matched, output.finish.num_kept, output.text) == (0, 3, "bb")


def test_min_new_tokens_holds_stops_back() -> None:
    output = make(stop=("b",), min_new_tokens=2)
    assert feed(output, tokens_of(b"b", b"b", b"a", b"b")) == ["b", "b", "a", ""]
    assert output.text == "bba"


def test_a_token_against_the_grammar_is_an_error() -> None:
    class Nothing:
        def accept(self, token: int) -> bool:
            return False

    output = Output(SamplingParams(), TABLE, (END,), 5, Nothing())  # type: ignore[arg-type]
    with pytest.raises(GrammarError, match="token 3"):
        output.push(3, None)


def test_end_from_outside_gives_what_was_held_back() -> None:
    output = make(stop=("STOP",))
    feed(output, tokens_of(b"a", b"ST"))
    assert output.end("length").text == "ST"
    assert output.finish is not None
    assert output.finish.reason == "length"


@given(
    tokens=st.lists(st.integers(0, len(PIECES) - 1), max_size=25),
    stops=st.lists(st.sampled_from(["STOP", "ab", "é", "P", "OPé", "😀", "xS"]), max_size=3, unique=True),
)
def test_against_the_whole_text(tokens: list[int], stops: list[str]) -> None:
    output = make(limit=1000, stop=tuple(stops))
    shown = "".join(feed(output, tokens))
    assert shown == output.text
    raw = b"".join(PIECES[token] for token in tokens)
    whole = raw.decode("utf-8", "replace")
    # The stop whose last character comes first ends the text; of those ending together the one that starts first.
    found = sorted((whole.find(s) + len(s), whole.find(s)) for s in stops if s in whole)
    complete = [(end, start) for end, start in found if not (end == len(whole) and whole.endswith("�"))]
    if output.finish is None:
        assert not complete
        assert whole.startswith(shown)
        return
    assert (output.finish.reason, complete != []) == ("stop", True)
    assert shown == whole[: complete[0][1]]
    kept = b"".join(PIECES[token] for token in tokens[: output.finish.num_kept]).decode("utf-8", "replace")
    assert kept + output.finish.rest == shown
