"""Failures: what constraints that cannot be compiled failed with, so that nobody compiles them again to find out."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from grammars import GrammarError, Spec
from grammars.engines.base import EngineAbsent
from grammars.errors import GrammarCancelled, GrammarTimeout
from runtime.errors import anew

__all__ = ["Failures"]

PASSING = (GrammarTimeout, GrammarCancelled, EngineAbsent)
"""What may be otherwise the next time."""


class Failures:
    """Keeps the errors used last, not the specs: these may be large.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._errors: OrderedDict[bytes, BaseException] = OrderedDict()

    def keep(self, spec: Spec, error: GrammarError) -> None:
        """Notes what a spec failed with, unless it may be otherwise the next time."""
        if isinstance(error, PASSING):
            return
        kept = anew(error)
        kept.__cause__ = None  # it holds on to the frames it came through, and so to all that was compiled
        self._errors[_digest(spec)] = kept
        if len(self._errors) > self._most:
            self._errors.popitem(last=False)

    def find(self, spec: Spec) -> BaseException | None:
        """What a spec is known to fail with."""
        if not self._errors:
            return None
        digest = _digest(spec)
        error = self._errors.get(digest)
        if error is None:
            return None
        self._errors.move_to_end(digest)
        return anew(error)


def _digest(spec: Spec) -> bytes:
    return hashlib.sha256(repr(spec).encode(errors="surrogatepass")).digest()
