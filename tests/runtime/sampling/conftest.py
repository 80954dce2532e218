from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest

from runtime.sampling.params import SamplingParams
from runtime.sampling.row import SamplingRow


class AllowList:
    """A matcher that always allows the same tokens."""

    def __init__(self, tokens: Collection[int]) -> None:
        self.tokens = frozenset(tokens)

    def mask_into(self, row: np.ndarray) -> None:
        bits = np.zeros(32 * len(row), dtype=np.uint8)
        bits[sorted(self.tokens)] = 1
        row[:] = np.packbits(bits, bitorder="little").view(np.int32)


@pytest.fixture(scope="session")
def make_row() -> Callable[..., SamplingRow]:
    def make(
        *,
        prompt: Sequence[int] = (),
        output: Sequence[int] = (),
        ends: Collection[int] = (),
        seed: int = 0,
        allow: Collection[int] | None = None,
        top_logprobs: int | None = None,
        **params: object,
    ) -> SamplingRow:
        row = SamplingRow(
            SamplingParams(**params),
            prompt_ids=prompt,
            end_tokens=ends,
            seed=seed,
            matcher=None if allow is None else AllowList(allow),
            top_logprobs=top_logprobs,
        )
        row.output_ids.extend(output)
        return row

    return make
