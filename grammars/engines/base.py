"""What every engine offers, and what the foreign ones share: names, patterns, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Protocol, TypeAlias

from grammars.errors import GrammarError, UnsupportedConstraint
from grammars.grammar import Grammar
from grammars.regular.pattern import parse_pattern
from grammars.spec import Choice, Regex, Spec
from grammars.vocabulary import Vocabulary

__all__ = ["Cancelled", "Engine", "EngineAbsent", "EngineFactory", "library", "portable_pattern", "refused"]

MAX_REASON = 300
Cancelled: TypeAlias = Callable[[], bool]
"""Says whether a result is not wanted any more."""


class Engine(Protocol):
    """Compiles specs for one vocabulary. Thread-safe; keeps tables of the vocabulary, no grammars."""

    name: str

    def compile(self, spec: Spec, is_cancelled: Cancelled | None = None) -> Grammar:
        """The grammar of `spec`.

        Args:
            spec: what to compile.
            is_cancelled: asked now and then, by engines that can stop, whether the grammar is not wanted any more.

        Raises:
            InvalidSpec: the spec itself is wrong.
            UnsupportedConstraint: this engine does not take it.
            GrammarLimit: it is too large.
            GrammarCancelled: it is not wanted any more.
        """


class EngineFactory(Protocol):
    """Makes an engine: an engine's class."""

    def __call__(self, vocabulary: Vocabulary) -> Engine:
        """The engine for a vocabulary.

        Raises:
            EngineAbsent: the library it needs is not installed.
        """


class EngineAbsent(GrammarError):
    """An engine was asked for whose library is not installed."""


def library(name: str, engine: str) -> ModuleType:
    """Imports what an engine needs.

    Raises:
        EngineAbsent: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != name.partition(".")[0]:
            raise
        raise EngineAbsent(f'grammar_engine: {engine!r} needs a package: pip install "sgdsl[{engine}]"') from error


def portable_pattern(spec: Regex | Choice) -> str:
    """A regex that Python's and Rust's libraries read alike: character classes written out, all else ASCII.

    Raises:
        InvalidSpec: the pattern is no regex.
        UnsupportedConstraint: it is not a regular one.
    """
    pattern = spec.pattern if isinstance(spec, Regex) else "|".join(map(re.escape, spec.options))
    return parse_pattern(pattern).render()


def refused(spec: Spec, engine: str, reason: str = "") -> UnsupportedConstraint:
    """The error for a spec that an engine does not take, with the reason its library gives, if it gives one."""
    said = " ".join(reason.split())[:MAX_REASON]
    return UnsupportedConstraint(type(spec).__name__, "", f"{engine} does not take it" + (f": {said}" if said else ""))
