"""Example: a short text that a constraint allows."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

from grammars.errors import UnsupportedConstraint
from grammars.spec import Choice, Spec, Stop

if TYPE_CHECKING:
    from grammars.machine.engine import MachineEngine

__all__ = ["byte_engine", "example"]

TRIES = 16
"""Texts drawn, of which the shortest is taken."""


@lru_cache(maxsize=512)
def example(spec: Spec) -> str:
    """A short text of a spec, the same one each time; the first option of a choice or of stops.

    Raises:
        UnsupportedConstraint: none was found.
    """
    if isinstance(spec, Choice):
        return spec.options[0]
    if isinstance(spec, Stop) and spec.spec is None:
        return spec.stops[0]  # chance would hardly find it
    from grammars.sample import sample_text

    engine = byte_engine()
    grammar = engine.compile(spec)
    drawn = (sample_text(grammar.matcher(), engine.vocabulary, random.Random(seed), hurry=0) for seed in range(TRIES))
    texts = [text.decode("utf-8", "replace") for text in drawn if text is not None]
    if not texts:
        raise UnsupportedConstraint(type(spec).__name__, "", "no example can be made of it: give Mock an answer")
    return min((text for text in texts if text), key=lambda text: (len(text), text), default="")


@lru_cache(maxsize=1)
def byte_engine() -> MachineEngine:
    """An engine over single bytes, in plain Python: nothing is compiled for a mock."""
    from grammars.machine.engine import MachineEngine
    from grammars.machine.kernels import plain_kernels
    from grammars.sample import byte_vocabulary

    return MachineEngine(byte_vocabulary(), kernels=plain_kernels())
