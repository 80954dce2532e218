from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.detokenizer import Detokenizer

PIECES = st.one_of(st.none(), st.binary(max_size=5), st.text(max_size=3).map(str.encode))


@settings(deadline=None)
@given(pieces=st.lists(PIECES, max_size=30))
def test_pushes_and_flush_are_the_decoding_of_all_bytes(pieces: list[bytes | None]) -> None:
    detokenizer = Detokenizer(pieces)
    text = "".join(detokenizer.push(index) for index in range(len(pieces))) + detokenizer.flush()
    assert text == b"".join(piece or b"" for piece in pieces).decode("utf-8", "replace")
    assert detokenizer.flush() == ""


@settings(deadline=None)
@given(text=st.text(), cuts=st.lists(st.integers(0, 50)))
def test_only_whole_characters_come_out(text: str, cuts: list[int]) -> None:
    data, places = text.encode(), sorted({0, *cuts})
    pieces = [data[start:end] for start, end in zip(places, [*places[1:], None], strict=True)]
    detokenizer, so_far = Detokenizer(pieces), ""
    for index in range(len(pieces)):
        so_far += detokenizer.push(index)
        assert text.startswith(so_far)
    assert so_far == text


def test_special_tokens_say_nothing_and_do_not_break_a_character() -> None:
    detokenizer = Detokenizer([b"\xe2\x82", None, b"\xac!"])
    assert [detokenizer.push(token) for token in (0, 1, 2)] == ["", "", "€!"]


def test_forks_go_their_own_ways() -> None:
    detokenizer = Detokenizer([b"\xc3", b"\xa9", b"\xa8"])
    detokenizer.push(0)
    twin = detokenizer.fork()
    assert (detokenizer.push(1), twin.push(2)) == ("é", "è")


def test_flush_begins_anew() -> None:
    detokenizer = Detokenizer([b"\xc3", b"a"])
    detokenizer.push(0)
    assert detokenizer.flush() == "�"
    assert detokenizer.push(1) == "a"


def test_import_is_light() -> None:
    code = "import runtime.detokenizer, sys; assert not {'torch', 'numpy', 'tokenizers'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
