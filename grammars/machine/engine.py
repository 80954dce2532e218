"""The project's own engine: specs as machines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from grammars.deadline import Deadline
from grammars.errors import GrammarLimit, InvalidSpec
from grammars.json.forms import ShapeLimits
from grammars.json.frames import JsonFrames
from grammars.json.ground import JsonGround
from grammars.json.node import Nodes
from grammars.json.schema import GraphLimits, SchemaGraph
from grammars.json.settled import common_languages, settled_ground
from grammars.json.shapes import Shapes
from grammars.machine.clipper import clipper
from grammars.machine.counted import left, with_counts
from grammars.machine.grammar import MachineGrammar
from grammars.machine.kernels import Kernels
from grammars.machine.lexeme import Counts, Lexemes
from grammars.machine.machine import RESOLVE_SECONDS, Machine
from grammars.machine.strings import MACHINE_BYTES, find_out
from grammars.machine.tables import VocabularyTables
from grammars.regular.language import Language, Languages
from grammars.regular.patterns import pattern_language
from grammars.regular.shared import SharedLanguages
from grammars.spec import Choice, JsonObject, JsonSchema, Regex, Spec, Whitespace
from grammars.vocabulary import Vocabulary

__all__ = ["EngineLimits", "MachineEngine"]
VALUES_AHEAD = 16
"""Objects and arrays whose states are made while a schema is compiled; the others' when a text comes to them."""
SECONDS_AHEAD = 0.01
"""Most time for that."""

CODE = re.compile(r"\\[xuU0-7]|[^\x20-\x7e]")
"""What may ask for a character that few vocabularies have."""

MANY_THREADS = 8
"""Rules' threads beyond are followed together. A schema's, whose masks are kept, only where there are too many."""
PLAIN_TAKES = 20
"""As much time as with compiled kernels, about, is given without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """What one grammar may take.

    Args:
        seconds: for compiling it.
        seconds_a_step: for finding out what one token of a text misses in its tables, in time of the thread's
            own; `PLAIN_TAKES` times as much where kernels are not compiled.
        bytes: for its tables, which grow while texts are matched.
        states: languages looked at to answer one question about one.
        graph: size of a schema.
        shapes: alternatives within it.
    """

    seconds: float = 10.0
    seconds_a_step: float = RESOLVE_SECONDS
    bytes: int = 64 * 2**20
    states: int = 20_000
    graph: GraphLimits = field(default_factory=GraphLimits)
    shapes: ShapeLimits = field(default_factory=ShapeLimits)


class MachineEngine:
    """Compiles specs for one vocabulary. Thread-safe; keeps tables of the vocabulary, no grammars.

    Args:
        vocabulary: the tokens.
        limits: what one grammar may take.
        registry: schemas that references may lead to, by URI.
        kernels: which functions walk the tables; the compiled ones by default.
        cache_dir: where tables of the vocabulary are kept between processes; None keeps them nowhere.
    """

    name = "sgdsl"

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        limits: EngineLimits | None = None,
        registry: Mapping[str, object] | None = None,
        kernels: Kernels | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.tables = VocabularyTables(vocabulary, kernels=kernels, cache_dir=cache_dir)
        self._limits = limits or EngineLimits()
        self._registry = registry
        self._languages = common_languages()
        self._shared = SharedLanguages()
        self._grounds: dict[Whitespace, JsonGround] = {}
        self._lock = Lock()
        if self.tables.kernels.is_compiled:
            find_out(self.tables)
            self._ground("fixed")
            self.tables.store()
            self._call_once()

    def _call_once(self) -> None:
        """Calls the kernels: the first call with arguments of a kind takes numba milliseconds."""
        matcher = self.compile(Choice(("a",))).matcher()
        matcher.mask_into(np.zeros(self.vocabulary.mask_words, np.int32))
        matcher.read(matcher.forced_bytes())
        matcher.is_exhausted()

    def compile(self, spec: Spec, is_cancelled: Callable[[], bool] | None = None) -> MachineGrammar:
        """The grammar of `spec`.

        Args:
            spec: what to compile.
            is_cancelled: asked now and then whether the grammar is not wanted any more.

        Raises:
            InvalidSpec: the spec itself is wrong.
            UnsupportedConstraint: it asks for what cannot be enforced.
            GrammarLimit: it is too large.
            GrammarCancelled: it is not wanted any more.
        """
        deadline = Deadline(self._limits.seconds, is_cancelled=is_cancelled)
        languages = Languages(max_states=self._limits.states, deadline=deadline, base=self._languages)
        if isinstance(spec, JsonObject):
            spec = spec.schema()
        machine = Machine(
            self.tables,
            max_bytes=self._limits.bytes,
            languages=languages,
            seconds=self._limits.seconds_a_step * (1 if self.tables.kernels.is_compiled else PLAIN_TAKES),
            begun=self._ground(spec.whitespace).machine if isinstance(spec, JsonSchema) else None,
        )
        try:
            grammar = self._compile(spec, machine, languages)
        except RecursionError:
            raise GrammarLimit(f"{type(spec).__name__}: nested too deeply") from None
        languages.deadline = None
        return grammar

    def _compile(self, spec: Spec, machine: Machine, languages: Languages) -> MachineGrammar:
        if isinstance(spec, Regex):
            language = pattern_language(languages, spec.pattern)
            names_any = CODE.search(spec.pattern) is not None
            return self._lexeme(machine, languages, language, "regex", names_any=names_any)
        if isinstance(spec, Choice):
            language = languages.literals(spec.options)
            return self._lexeme(machine, languages, language, "choice", names_any=True)
        if isinstance(spec, JsonSchema):
            ground = self._ground(spec.whitespace).on(machine)
            start, warnings = self._document(spec, ground, languages)
            return MachineGrammar(machine, start, warnings)
        return self._rules(spec, machine, languages)

    def _lexeme(
        self, machine: Machine, languages: Languages, language: Language, what: str, *, names_any: bool
    ) -> MachineGrammar:
        """The grammar of a language; `names_any`: it may ask for single characters that no token can write."""
        chars = self.tables.spellable
        if names_any and chars is not None:
            language = languages.intersect(language, languages.repeat(languages.chars(chars), 0, None))
        if languages.is_empty(language):
            raise InvalidSpec(f"{what}: no text matches it")
        language, low, high = with_counts(languages, language, 0, None)
        counts = None if (low, high) == (0, None) else Counts(low, high, left)
        lexemes = Lexemes(machine, "plain", twin=clipper(languages), counts=counts)
        return MachineGrammar(machine, lexemes.state(language), ())

    def _ground(self, whitespace: Whitespace) -> JsonGround:
        """What the JSON grammars of a policy begin with."""
        with self._lock:
            found = self._grounds.get(whitespace)
            if found is None:
                machine = Machine(self.tables, max_bytes=MACHINE_BYTES)
                found = self._grounds[whitespace] = settled_ground(machine, whitespace, self._languages, self._shared)
            return found

    def _document(
        self, spec: JsonSchema, ground: JsonGround, languages: Languages
    ) -> tuple[int | None, tuple[str, ...]]:
        """The state in which a document begins, None when there is none."""
        nodes = Nodes()
        graph = SchemaGraph(
            json.loads(spec.schema),
            languages,
            nodes,
            formats=spec.formats,
            registry=self._registry,
            limits=self._limits.graph,
        )
        shapes = Shapes(languages, nodes, spec.key_order, self._limits.shapes)
        warnings = tuple(graph.warnings)
        if shapes.is_empty(graph.root):
            if spec.unsatisfiable == "error":
                raise InvalidSpec("json_schema: no value satisfies it")
            return None, warnings
        frames = JsonFrames(ground, shapes, languages)
        frames.prepare(graph.root, VALUES_AHEAD, time.monotonic() + SECONDS_AHEAD)
        return frames.root(graph.root), warnings

    def _rules(self, spec: Spec, machine: Machine, languages: Languages) -> MachineGrammar:
        from grammars.cfg.frames import RuleFrames
        from grammars.cfg.specs import rules_of

        rules = rules_of(spec, languages)
        warnings = list(rules.warnings)

        def embedded(schema: JsonSchema) -> int:
            start, more = self._document(schema, JsonGround(machine, schema.whitespace, self._shared), languages)
            if start is None:
                raise InvalidSpec("json_schema: no value satisfies it")
            warnings.extend(more)
            return start

        machine.many_threads = MANY_THREADS
        frames = RuleFrames(machine, rules, languages, embedded)
        return MachineGrammar(machine, frames.root(), tuple(warnings))
