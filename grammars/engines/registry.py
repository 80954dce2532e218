"""Engines by name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from grammars.engines.base import EngineFactory

__all__ = ["DEFAULT", "NAMES", "engine_named"]

DEFAULT = "sgdsl"
PLACES = {
    DEFAULT: "grammars.machine.engine:MachineEngine",
    "outlines": "grammars.engines.outlines:OutlinesEngine",
    "llguidance": "grammars.engines.llguidance:LlguidanceEngine",
    "xgrammar": "grammars.engines.xgrammar:XgrammarEngine",
}
"""Module and class of each; imported when it is chosen."""
NAMES = tuple(PLACES)


def engine_named(name: str) -> EngineFactory:
    """What makes the engine of that name, given a vocabulary.

    Raises:
        ValueError: there is no such engine.
    """
    if name not in PLACES:
        raise ValueError(f"grammar_engine: {name!r} is not one of {', '.join(NAMES)}")
    module, _, made = PLACES[name].partition(":")
    return cast(EngineFactory, getattr(import_module(module), made))
