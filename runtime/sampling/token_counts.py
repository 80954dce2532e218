"""TokenCounts: which tokens a request has seen and written, for its penalties. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["TokenCounts"]


class TokenCounts:
    """The distinct tokens of one request and how often each was generated; prompt tokens start at 0.

    Kept as a list of distinct tokens rather than one count per vocabulary entry: a text has far fewer tokens than a
    vocabulary, and so a step touches only those.

    Args:
        prompt_ids: tokens that count as seen but not as generated.
    """

    def __init__(self, prompt_ids: Sequence[int]) -> None:
        seen = np.unique(np.asarray(prompt_ids, dtype=np.int64))
        self._place: dict[int, int] = {token: place for place, token in enumerate(seen.tolist())}
        self._tokens = np.zeros(max(64, 2 * len(seen)), dtype=np.int64)
        self._tokens[: len(seen)] = seen
        self._counts = np.zeros(len(self._tokens), dtype=np.float32)
        self._num_read = 0

    def read(self, output_ids: Sequence[int]) -> None:
        """Counts the tokens appended to `output_ids` since the last call."""
        for token in output_ids[self._num_read :]:
            place = self._place.setdefault(token, len(self._place))
            if place == len(self._tokens):
                self._tokens = np.concatenate((self._tokens, np.zeros_like(self._tokens)))
                self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
            self._tokens[place] = token
            self._counts[place] += 1.0
        self._num_read = len(output_ids)

    @property
    def tokens(self) -> npt.NDArray[np.int64]:
        """The distinct tokens, int64 [n]."""
        return self._tokens[: len(self._place)]

    @property
    def counts(self) -> npt.NDArray[np.float32]:
        """How often each of `tokens` was generated, float32 [n]."""
        return self._counts[: len(self._place)]
