"""Turns specs into grammars, and keeps those already made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, get_args

from grammars.engines.registry import DEFAULT, engine_named
from grammars.errors import InvalidSpec
from grammars.grammar import Grammar
from grammars.spec import Spec
from grammars.vocabulary import Vocabulary

if TYPE_CHECKING:
    from grammars.engines.base import Engine

__all__ = ["GrammarCompiler", "compile_spec"]

MAX_BYTES = 256 * 2**20


def compile_spec(spec: Spec, vocabulary: Vocabulary, *, engine: str = DEFAULT) -> Grammar:
    """Compiles one spec, keeping nothing; see `GrammarCompiler.compile`."""
    return GrammarCompiler(vocabulary, engine=engine).compile(spec)


class GrammarCompiler:
    """Compiles specs for one vocabulary. Thread-safe; keeps the grammars used last.

    Args:
        vocabulary: the tokens texts are made of.
        engine: which engine compiles: one of `grammars.engines.registry.NAMES`.
        max_bytes: memory for kept grammars, their masks included; the one used last is always kept.
        cache_dir: where tables of the vocabulary are kept between processes; None keeps them nowhere.

    Raises:
        ValueError: a limit is out of range, or there is no such engine.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        engine: str = DEFAULT,
        max_bytes: int = MAX_BYTES,
        cache_dir: Path | None = None,
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes: {max_bytes} is not >= 0")
        self.vocabulary = vocabulary
        self.engine = engine
        self._make_engine = self._own if engine == DEFAULT else partial(engine_named(engine), vocabulary)
        self._cache_dir = cache_dir
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Spec, Grammar] = OrderedDict()
        self._compiling: dict[Spec, Lock] = {}
        self._lock = Lock()
        self._engine: Engine | None = None
        self._engine_lock = Lock()

    def warm(self) -> None:
        """Makes what all grammars of the vocabulary share, which the first compilation would wait for otherwise."""
        with self._engine_lock:
            if self._engine is None:
                self._engine = self._make_engine()

    def compile(self, spec: Spec, is_cancelled: Callable[[], bool] | None = None) -> Grammar:
        """The grammar of `spec`; threads that ask for the same one at once wait for one compilation.

        Args:
            spec: what to compile.
            is_cancelled: asked now and then whether the grammar is not wanted any more.

        Raises:
            GrammarCancelled: it is not wanted any more.
            InvalidSpec: the spec itself is wrong.
            UnsupportedConstraint: it asks for what cannot be enforced.
            GrammarLimit: it is too large.
            EngineAbsent: the engine needs a package that is not installed.
        """
        if not isinstance(spec, get_args(Spec)):
            raise InvalidSpec(f"spec: {spec!r} is not a spec of `grammars`")
        with self._lock:
            found = self._find(spec)
            if found is not None:
                return found
            mine = self._compiling.setdefault(spec, Lock())
        with mine:
            with self._lock:
                found = self._find(spec)
            if found is None:
                try:
                    found = self._made(spec, is_cancelled)
                    self._keep(spec, found)
                finally:
                    with self._lock:
                        self._compiling.pop(spec, None)
        return found

    def find(self, spec: Spec) -> Grammar | None:
        """The grammar if it is kept already; compiles nothing and waits for nobody who does."""
        with self._lock:
            return self._find(spec)

    @property
    def num_bytes(self) -> int:
        """Memory the kept grammars take by now."""
        with self._lock:
            return sum(kept.num_bytes for kept in self._kept.values())

    def _own(self) -> Engine:
        from grammars.machine.engine import MachineEngine

        return MachineEngine(self.vocabulary, cache_dir=self._cache_dir)

    def _find(self, spec: Spec) -> Grammar | None:
        found = self._kept.get(spec)
        if found is None:
            return None
        if getattr(found, "is_spent", False):  # tables that grow with texts; only the own engine has them
            del self._kept[spec]
            return None
        self._kept.move_to_end(spec)
        return found

    def _keep(self, spec: Spec, grammar: Grammar) -> None:
        with self._lock:
            self._kept[spec] = grammar
            while len(self._kept) > 1 and sum(kept.num_bytes for kept in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)

    def _made(self, spec: Spec, is_cancelled: Callable[[], bool] | None) -> Grammar:
        self.warm()
        engine = self._engine
        if engine is None:
            raise RuntimeError("the grammar engine is not there although it was made")
        return engine.compile(spec, is_cancelled)
