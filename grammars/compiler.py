"""Turns specs into grammars, and keeps those already made."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from grammars.automaton import ByteAutomaton
from grammars.errors import GrammarLimit
from grammars.grammar import Grammar
from grammars.json_schema import pattern_of_schema
from grammars.outlines import automaton_of
from grammars.regular.pattern import parse_pattern
from grammars.regex import AutomatonGrammar
from grammars.spec import Choice, Regex, Spec
from grammars.token_trie import TokenTrie
from grammars.vocabulary import Vocabulary

__all__ = ["GrammarCompiler", "compile_spec"]

MAX_STATES = 16_384
MAX_BYTES = 256 * 2**20
MOST_STATES = 65_536
"""State numbers are 16 bits wide."""


def compile_spec(spec: Spec, vocabulary: Vocabulary) -> Grammar:
    """Compiles one spec, keeping nothing; see `GrammarCompiler.compile`."""
    return GrammarCompiler(vocabulary).compile(spec)


class GrammarCompiler:
    """Compiles specs for one vocabulary. Thread-safe; keeps the grammars used last.

    Args:
        vocabulary: the tokens texts are made of.
        max_bytes: memory for kept grammars, their masks included; the one used last is always kept.
        max_states: states one automaton may have (0.5 KiB each); `grammars.size.check_size` has the exact rules.

    Raises:
        ValueError: a limit is out of range.
    """

    def __init__(self, vocabulary: Vocabulary, *, max_bytes: int = MAX_BYTES, max_states: int = MAX_STATES) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes: {max_bytes} is not >= 0")
        if not 2 <= max_states < MOST_STATES:
            raise ValueError(f"max_states: {max_states} is not in 2..{MOST_STATES - 1}")
        self.vocabulary = vocabulary
        self._max_bytes = max_bytes
        self._max_states = max_states
        self._kept: OrderedDict[Spec, AutomatonGrammar] = OrderedDict()
        self._compiling: dict[Spec, Lock] = {}
        self._lock = Lock()
        self._trie: TokenTrie | None = None
        self._trie_lock = Lock()

    def compile(self, spec: Spec) -> Grammar:
        """The grammar of `spec`; threads that ask for the same one at once wait for one compilation.

        Raises:
            InvalidSpec: the spec itself is wrong.
            UnsupportedConstraint: it asks for what cannot be enforced.
            GrammarLimit: it is too large.
        """
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
                    found = self._build(spec)
                    self._keep(spec, found)
                finally:
                    with self._lock:
                        self._compiling.pop(spec, None)
        return found

    def find(self, spec: Spec) -> AutomatonGrammar | None:
        """The grammar if it is kept already; compiles nothing and waits for nobody who does."""
        with self._lock:
            return self._find(spec)

    def _find(self, spec: Spec) -> AutomatonGrammar | None:
        found = self._kept.get(spec)
        if found is not None:
            self._kept.move_to_end(spec)
        return found

    def _keep(self, spec: Spec, grammar: AutomatonGrammar) -> None:
        with self._lock:
            self._kept[spec] = grammar
            while len(self._kept) > 1 and sum(kept.num_bytes for kept in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)

    def _build(self, spec: Spec) -> AutomatonGrammar:
        warnings: tuple[str, ...] = ()
        if isinstance(spec, Choice):
            automaton = self._choice(spec)
        elif isinstance(spec, Regex):
            automaton = automaton_of(parse_pattern(spec.pattern), self._max_states)
        else:
            regex, warnings = pattern_of_schema(spec)
            automaton = automaton_of(parse_pattern(regex), self._max_states)
        return AutomatonGrammar(automaton, self.vocabulary, self._token_trie(), warnings)

    def _choice(self, spec: Choice) -> ByteAutomaton:
        texts = [option.encode() for option in spec.options]
        states = sum(map(len, texts))
        if states > MOST_STATES - 2:
            raise GrammarLimit(f"choice: {states} bytes in all options, at most {MOST_STATES - 2}")
        return ByteAutomaton.of_texts(texts)

    def _token_trie(self) -> TokenTrie:
        """Made once, and not before it is needed: it takes a while for a large vocabulary."""
        with self._trie_lock:
            if self._trie is None:
                self._trie = TokenTrie(self.vocabulary)
            return self._trie
