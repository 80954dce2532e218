"""Failures: what constraints that cannot be compiled failed with, so that nobody compiles them again to find out."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from grammars import GrammarError, Spec
from grammars.engines.base import EngineAbsent
from grammars.errors import GrammarCancelled, GrammarTimeout

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
        self._errors: OrderedDict[bytes, GrammarError] = OrderedDict()

    def keep(self, spec: Spec, error: GrammarError) -> None:
        """Notes what a spec failed with, unless it may be otherwise the next time."""
        if isinstance(error, PASSING):
            return
        self._errors[_digest(spec)] = _bare(error)
        if len(self._errors) > self._most:
            self._errors.popitem(last=False)

    def find(self, spec: Spec) -> GrammarError | None:
        """What a spec is known to fail with."""
        if not self._errors:
            return None
        digest = _digest(spec)
        error = self._errors.get(digest)
        if error is None:
            return None
        self._errors.move_to_end(digest)
        return _bare(error)


def _digest(spec: Spec) -> bytes:
    return hashlib.sha256(repr(spec).encode(errors="surrogatepass")).digest()


def _bare(error: GrammarError) -> GrammarError:
    """The error without what holds on to the frames it came through, and with them to all that was compiled so far."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
