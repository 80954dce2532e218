from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from runtime.sampling.masks import GrammarMasks

CPU = torch.device("cpu")


@given(st.integers(1, 130), st.data())
def test_exactly_the_allowed_tokens_of_masked_rows_stay(make_row, vocab_size, data):
    allowed = data.draw(st.lists(st.none() | st.sets(st.integers(0, vocab_size - 1)), min_size=1, max_size=4))
    rows = [(place, make_row(allow=tokens)) for place, tokens in enumerate(allowed) if tokens is not None]
    logits = torch.zeros(len(allowed), vocab_size)
    if rows:
        assert GrammarMasks(rows, vocab_size, CPU).apply(logits) == {}
    for line, tokens in zip(logits.tolist(), allowed, strict=True):
        left = {token for token, value in enumerate(line) if value == 0.0}
        assert left == (set(range(vocab_size)) if tokens is None else tokens)
