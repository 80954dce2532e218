"""GrammarMasks: what the grammars of a batch's rows allow next, filled while the model runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from grammars import Matcher, fill_masks
from runtime.constraint.staged import present
from runtime.sampling.holds import hold_back

if TYPE_CHECKING:
    from runtime.sampling.row import SamplingRow

__all__ = ["GrammarMasks"]

Words: TypeAlias = npt.NDArray[np.int32]
Errors: TypeAlias = dict[int, Exception]


class GrammarMasks:
    """Fills all masks of a step in one call, in a thread of its own: they depend on accepted tokens alone.

    Between `begin` and `take` the rows' matchers belong to that thread.

    Args:
        vocab_size: V.

    Attributes:
        seconds: time spent filling since the start.
    """

    def __init__(self, vocab_size: int) -> None:
        self.seconds = 0.0
        self._vocab_size = vocab_size
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sgdsl-masks")
        self._words: Words = np.empty((0, -(-vocab_size // 32)), dtype=np.int32)
        self._rows: tuple[SamplingRow, ...] | None = None
        self._filling: Future[Errors] | None = None

    def begin(self, rows: Sequence[SamplingRow]) -> None:
        """Starts on the masks of `rows`; nothing is started where none of them is restricted."""
        self.wait()
        self._rows = tuple(rows)
        matchers = [present(row.matcher) for row in rows]
        if all(matcher is None for matcher in matchers) and not any(row.is_held for row in rows):
            return
        if len(self._words) < len(rows):  # reused every step: fresh pages would cost more than the filling
            self._words = np.empty((2 * len(rows), self._words.shape[1]), dtype=np.int32)
        self._filling = self._worker.submit(self._fill, matchers, self._words[: len(rows)])

    def take(self, rows: Sequence[SamplingRow]) -> tuple[Words | None, Errors]:
        """The masks of `rows`, begun now unless they were before; tokens held back are taken out.

        Returns:
            int32 [R, ceil(V / 32)], or None where no row is restricted, good until the next `begin`; and the rows
            whose matcher raised, which are masked by nothing.
        """
        begun = self._rows
        if begun is None or len(begun) != len(rows) or any(a is not b for a, b in zip(begun, rows, strict=True)):
            self.begin(rows)
        self._rows, filling, self._filling = None, self._filling, None
        if filling is None:
            return None, {}
        errors = filling.result()
        words = self._words[: len(rows)]
        hold_back(rows, words, self._vocab_size)
        return words, errors

    def wait(self) -> None:
        """Waits for what nobody will take, because the step it was for has failed."""
        filling, self._filling, self._rows = self._filling, None, None
        if filling is not None:
            filling.result()

    def close(self) -> None:
        """Ends the thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _fill(self, matchers: Sequence[Matcher | None], words: Words) -> Errors:
        start = time.perf_counter()
        errors: Errors = {}
        fill_masks(matchers, words, errors)  # whatever one of them does, the other rows go on
        for place in errors:
            words[place] = -1
        self.seconds += time.perf_counter() - start
        return errors
