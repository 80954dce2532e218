from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runtime.sampling.token_counts import TokenCounts

TOKENS = st.lists(st.integers(0, 200), max_size=300)


@given(TOKENS, TOKENS, st.lists(st.integers(0, 300), max_size=5))
def test_counts_are_those_of_the_whole_output_however_it_grew(prompt, output, sizes):
    counts = TokenCounts(prompt)
    for size in [*sorted(size for size in sizes if size < len(output)), len(output)]:
        counts.read(output[:size])
        wanted = Counter(dict.fromkeys(prompt, 0))
        wanted.update(output[:size])
        assert dict(zip(counts.tokens.tolist(), counts.counts.tolist(), strict=True)) == wanted
