"""How large the automaton of a pattern gets, found out before anything native builds it without limits."""

from __future__ import annotations

from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.regular.syntax import Alternation, Characters, Concatenation, Node, Repetition

__all__ = ["check_size", "num_positions"]

STEPS_PER_STATE = 10
"""How far the size check looks, in visited states for each state allowed."""
UTF8_STATES = 8
"""Byte states that a set reaching beyond ASCII takes, about."""


def num_positions(node: Node) -> int:
    """Character sets of a pattern, each as often as the repetitions around it may write it out."""
    if isinstance(node, Characters):
        return 1 if node.chars.ranges[-1][1] < 0x80 else UTF8_STATES
    if isinstance(node, Alternation | Concatenation):
        return max(1, sum(map(num_positions, node.items)))
    node = _repetition(node)
    times = node.low + 1 if node.high is None else node.high
    return num_positions(node.item) * times


def _repetition(node: Node) -> Repetition:
    """The node itself: of a pattern that engines are given, nothing else is left (see `parse_pattern`)."""
    if not isinstance(node, Repetition):
        raise UnsupportedConstraint("position or lookaround", "", "not supported in a regex")
    return node


def check_size(node: Node, max_states: int) -> None:
    """Refuses patterns that would grow beyond `max_states`.

    Two rules. Written out, repetitions and all, the pattern has at most 2 * `max_states` character sets (one beyond
    ASCII counts `UTF8_STATES` times). And the subset construction over characters, tried out here without building
    anything, ends within `max_states` states, which catches what is short but exponential: `(a|b)*a(a|b){30}`.

    Raises:
        GrammarLimit: it breaks one of the rules.
    """
    positions = num_positions(node)
    if positions > 2 * max_states:
        raise GrammarLimit(f"regex: about {positions} character sets when written out, at most {2 * max_states}")
    _Subsets(node, max_states).count()


class _Subsets:
    """A nondeterministic automaton over characters, and the walk over its sets of states."""

    def __init__(self, node: Node, limit: int) -> None:
        self._limit = limit
        self._steps_left = STEPS_PER_STATE * limit
        self._jumps: list[list[int]] = [[]]
        self._ranges: list[tuple[tuple[int, int], ...]] = [()]
        self._build(node, 0)

    def _new(self) -> int:
        self._jumps.append([])
        self._ranges.append(())
        return len(self._jumps) - 1

    def _build(self, node: Node, start: int) -> int:
        """Adds the states of `node` behind `start`; the state at its end. A set leads from state n to n + 1."""
        if isinstance(node, Characters):
            state = self._new()
            self._jumps[start].append(state)
            self._ranges[state] = node.chars.ranges
            return self._new()
        if isinstance(node, Concatenation):
            for item in node.items:
                start = self._build(item, start)
            return start
        if isinstance(node, Alternation):
            ends = [self._build(item, start) for item in node.items]
            return self._join(ends)
        node = _repetition(node)
        return self._repeat(node.item, node.low, node.high, start)

    def _repeat(self, item: Node, low: int, high: int | None, start: int) -> int:
        for _ in range(low):
            start = self._build(item, start)
        if high is None:
            loop = self._join([start])
            self._jumps[self._build(item, loop)].append(loop)
            return loop
        ends = [start]
        for _ in range(high - low):
            start = self._build(item, start)
            ends.append(start)
        return self._join(ends)

    def _join(self, ends: list[int]) -> int:
        end = self._new()
        for state in ends:
            self._jumps[state].append(end)
        return end

    def _closure(self, states: list[int]) -> frozenset[int]:
        """The states that read a character, reached from `states` without reading one."""
        seen = set(states)
        stack = list(states)
        while stack:
            for following in self._jumps[stack.pop()]:
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
        self._steps_left -= len(seen)
        if self._steps_left < 0:
            raise GrammarLimit("regex: too many ways to read the same text")
        return frozenset(state for state in seen if self._ranges[state])

    def _after(self, readers: frozenset[int]) -> set[frozenset[int]]:
        """The sets of readers that one more character leads to."""
        if len(readers) == 1:
            (state,) = readers
            return {self._closure([state + 1])}
        edges: list[tuple[int, int]] = []
        for state in readers:
            for low, high in self._ranges[state]:
                edges += [(low, state), (high + 1, ~state)]
        reading: set[int] = set()
        groups: set[frozenset[int]] = set()
        previous = -1
        for at, edge in sorted(edges):
            if at != previous and reading:
                groups.add(frozenset(reading))
            previous = at
            if edge >= 0:
                reading.add(edge)
            else:
                reading.discard(~edge)
        return {self._closure([state + 1 for state in group]) for group in groups}

    def count(self) -> int:
        """Number of sets reached; GrammarLimit as soon as there are too many, or it takes too long to tell."""
        first = self._closure([0])
        seen = {first}
        queue = [first]
        while queue:
            for following in self._after(queue.pop()):
                if following not in seen:
                    seen.add(following)
                    queue.append(following)
                    if len(seen) > self._limit:
                        raise GrammarLimit(f"regex: its automaton has more than {self._limit} states")
        return len(seen)
