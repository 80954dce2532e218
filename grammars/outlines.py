"""The seam around outlines-core: schemas become regexes, a pattern's tree a byte automaton."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from grammars.automaton import DEAD, START, ByteAutomaton
from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.pattern import Node
from grammars.size import check_size

__all__ = ["MAX_REGEX_LENGTH", "automaton_of", "schema_regex"]

MAX_REGEX_LENGTH = 150_000
"""Longest regex taken from a schema, in characters."""
END = 256
"""The token that outlines-core takes for the end; the tokens below it are the bytes."""


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


def schema_regex(schema: dict[str, Any], space: str) -> str:
    """The regex that outlines-core builds for a schema, `space` standing wherever it puts whitespace.

    Raises:
        UnsupportedConstraint: outlines-core refuses the schema.
        GrammarLimit: the regex is longer than `MAX_REGEX_LENGTH`.
    """
    from outlines_core.json_schema import build_regex_from_schema

    with _refusals("schema"):
        regex: str = build_regex_from_schema(json.dumps(schema), space)
    if len(regex) > MAX_REGEX_LENGTH:
        raise GrammarLimit(f"json_schema: its regex has {len(regex)} characters, at most {MAX_REGEX_LENGTH}")
    return regex


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

    text = node.render()
    if not text:
        return ByteAutomaton.of_texts([b""])
    with _refusals("regex"):
        index = Index(text, Vocabulary(END, {bytes([byte]): [byte] for byte in range(256)}))
    transitions: dict[int, dict[int, int]] = index.get_transitions()
    if len(transitions) >= max_states:
        raise GrammarLimit(f"regex: {len(transitions)} states, at most {max_states} are allowed")
    initial: int = index.get_initial_state()
    number = {initial: START}
    for state in transitions:
        number.setdefault(state, len(number) + 1)
    table = np.full((len(number) + 1, 256), DEAD, np.uint16)
    final = np.zeros(len(number) + 1, np.bool_)
    for state, row in transitions.items():
        row.pop(END, None)
        table[number[state], list(row)] = [number[following] for following in row.values()]
    final[[number[state] for state in index.get_final_states()]] = True
    return ByteAutomaton(table, final)
