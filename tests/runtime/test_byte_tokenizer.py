from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.byte_tokenizer import byte_tokenizer
from runtime.errors import DamagedModel

TOKENIZER = byte_tokenizer()


@settings(deadline=None)
@given(text=st.text())
def test_every_byte_is_its_own_token(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert ids == [3 + byte for byte in text.encode()]
    assert TOKENIZER.decode(ids) == text


def test_bytes_of_all_tokens() -> None:
    assert TOKENIZER.token_bytes == (*[None] * 3, *(bytes([byte]) for byte in range(256)), *[None] * 253)
    assert (TOKENIZER.bos_token_id, TOKENIZER.eos_token_ids) == (1, (2,))
    with pytest.raises(DamagedModel, match="259 tokens, the model only 100"):
        byte_tokenizer(100)
