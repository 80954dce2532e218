"""The outlines engine: Regex and Choice as byte automata, which outlines-core builds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from grammars.engines.automaton import DEAD, START, ByteAutomaton
from grammars.engines.automaton_grammar import AutomatonGrammar
from grammars.engines.base import Cancelled, refused
from grammars.engines.size import check_size
from grammars.engines.token_trie import TokenTrie
from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.regular.pattern import Node, parse_pattern
from grammars.spec import Choice, Regex, Spec
from grammars.vocabulary import Vocabulary

__all__ = ["MAX_STATES", "OutlinesEngine", "automaton_of"]

MAX_STATES = 16_384
MOST_STATES = 65_536
"""State numbers are 16 bits wide."""

SENTINEL = "\U0010ffff"
"""Stands before and behind every text while outlines-core builds; no rendered set has it.

Behind, because outlines-core 0.2.14 loses the transitions from a final state to one that is not final (`(?:ab)*`
accepts nothing but the empty text), so no state inside the text may be final. Before, because it also builds the
automaton that searches for the pattern, which grows exponentially unless a match can only begin at one character.
"""
END = 256
"""The token that outlines-core takes for the end; the tokens below it are the bytes."""


class OutlinesEngine:
    """Compiles `Regex` and `Choice` into automata whose every state is known beforehand: for short patterns.

    Args:
        vocabulary: the tokens texts are made of.
        cache_dir: not used; this engine keeps nothing between processes.
        max_states: states one automaton may have (0.5 KiB each); `grammars.engines.size.check_size` has the exact
            rules.

    Raises:
        ValueError: `max_states` is out of range.
    """

    name = "outlines"

    def __init__(self, vocabulary: Vocabulary, *, cache_dir: Path | None = None, max_states: int = MAX_STATES) -> None:
        if not 2 <= max_states < MOST_STATES:
            raise ValueError(f"max_states: {max_states} is not in 2..{MOST_STATES - 1}")
        self._vocabulary = vocabulary
        self._max_states = max_states
        self._trie: TokenTrie | None = None
        self._lock = Lock()

    def compile(self, spec: Spec, is_cancelled: Cancelled | None = None) -> AutomatonGrammar:
        """The grammar of `spec`.

        Raises:
            InvalidSpec: a regex cannot be read.
            UnsupportedConstraint: the spec is of another kind, or outlines-core refuses the regex.
            GrammarLimit: the automaton would be too large.
        """
        if isinstance(spec, Choice):
            automaton = _choice(spec)
        elif isinstance(spec, Regex):
            automaton = automaton_of(parse_pattern(spec.pattern), self._max_states)
        else:
            raise refused(spec, self.name)
        return AutomatonGrammar(automaton, self._vocabulary, self._token_trie())

    def _token_trie(self) -> TokenTrie:
        """Made once, and not before it is needed: it takes a while for a large vocabulary."""
        with self._lock:
            if self._trie is None:
                self._trie = TokenTrie(self._vocabulary)
            return self._trie


def _choice(spec: Choice) -> ByteAutomaton:
    texts = [option.encode() for option in spec.options]
    states = sum(map(len, texts))
    if states > MOST_STATES - 2:
        raise GrammarLimit(f"choice: {states} bytes in all options, at most {MOST_STATES - 2}")
    return ByteAutomaton.of_texts(texts)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Makes an `UnsupportedConstraint` of whatever outlines-core raises, its panics too."""
    try:
        yield
    except BaseException as error:  # a panic in Rust is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        reason = " ".join(str(error).split())[:200]
        raise UnsupportedConstraint(what, "", f"outlines-core refuses it: {reason}") from error


def automaton_of(node: Node, max_states: int) -> ByteAutomaton:
    """Builds the automaton that accepts what the pattern matches as a whole.

    outlines-core is given a vocabulary of the 256 bytes, so building costs milliseconds whatever the model's
    vocabulary is; tokens are laid over the automaton later, state by state.

    Args:
        node: the pattern.
        max_states: how many states the automaton may have.

    Raises:
        GrammarLimit: it would have more.
        UnsupportedConstraint: outlines-core refuses the pattern.
    """
    check_size(node, max_states)
    from outlines_core import Index, Vocabulary

    with _refusals("regex"):
        index = Index(
            SENTINEL + node.render() + SENTINEL, Vocabulary(END, {bytes([byte]): [byte] for byte in range(256)})
        )
    transitions: dict[int, dict[int, int]] = index.get_transitions()
    if len(transitions) >= max_states:
        raise GrammarLimit(f"regex: {len(transitions)} states, at most {max_states} are allowed")
    start = index.get_initial_state()
    for byte in SENTINEL.encode():
        start = transitions[start][byte]
    number = {start: START}
    for state in transitions:
        number.setdefault(state, len(number) + 1)
    table = np.full((len(number) + 1, 256), DEAD, np.uint16)
    for state, row in transitions.items():
        row.pop(END, None)
        table[number[state], list(row)] = [number[following] for following in row.values()]
    after_sentinel = np.zeros(len(table), np.bool_)
    after_sentinel[[number[state] for state in index.get_final_states()]] = True
    return _without_sentinel(table, after_sentinel)


def _without_sentinel(table: npt.NDArray[np.uint16], after_sentinel: npt.NDArray[np.bool_]) -> ByteAutomaton:
    """Makes final what accepted the sentinel, and forgets the sentinel's own transitions."""
    states = np.arange(len(table))
    for byte in SENTINEL.encode():
        states = table[states, byte]
    table = np.where(after_sentinel[table], DEAD, table).astype(np.uint16)
    return ByteAutomaton(table, after_sentinel[states]).without_bytes(np.ones(256, np.bool_))
