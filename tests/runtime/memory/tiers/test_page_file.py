"""The file of a page: whole, or a miss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.memory.tiers.page_file import DamagedPage, decode, encode, file_size

MODEL, KEY, PAYLOAD = b"m" * 32, b"k" * 32, bytes(range(40))
CONTENT = encode(MODEL, KEY, PAYLOAD)


def test_a_page_comes_back_as_it_was() -> None:
    assert decode(CONTENT, MODEL, KEY, len(PAYLOAD)) == PAYLOAD
    assert len(CONTENT) == file_size(len(PAYLOAD))


@pytest.mark.parametrize("place", range(len(CONTENT)))
@given(flipped=st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, flipped: int) -> None:
    damaged = CONTENT[:place] + bytes([CONTENT[place] ^ flipped]) + CONTENT[place + 1 :]
    with pytest.raises(DamagedPage):
        decode(damaged, MODEL, KEY, len(PAYLOAD))


@given(st.binary(max_size=2 * len(CONTENT)))
def test_any_other_content_is_found(content: bytes) -> None:
    with pytest.raises(DamagedPage):
        decode(content, MODEL, KEY, len(PAYLOAD))


@given(st.integers(0, len(CONTENT) - 1))
def test_a_truncated_file_is_found(length: int) -> None:
    with pytest.raises(DamagedPage):
        decode(CONTENT[:length], MODEL, KEY, len(PAYLOAD))


@pytest.mark.parametrize(
    ("model", "key", "size"), [(b"n" * 32, KEY, 40), (MODEL, b"l" * 32, 40), (MODEL, KEY, 39), (MODEL, KEY, 41)]
)
def test_a_foreign_file_is_found(model: bytes, key: bytes, size: int) -> None:
    with pytest.raises(DamagedPage):
        decode(CONTENT, model, key, size)
