"""Regular expressions without lookaround, for engines that take nothing but plain regexes."""

from __future__ import annotations

from grammars.errors import UnsupportedConstraint
from grammars.regular.charset import CharSet
from grammars.regular.python_syntax import read_python
from grammars.regular.syntax import (
    EMPTY,
    MAX_PATTERN_LENGTH,
    Alternation,
    Characters,
    Concatenation,
    Look,
    Node,
    Place,
    Position,
    Repetition,
    shown,
)

__all__ = ["MAX_PATTERN_LENGTH", "Alternation", "Characters", "Concatenation", "Node", "Repetition", "parse_pattern"]

STARTS = (Place.START,)
ENDS = (Place.END, Place.LAST_LINE_END)
LINE_STARTS = (*STARTS, Place.LINE_START)
LINE_ENDS = (*ENDS, Place.LINE_END)


def parse_pattern(pattern: str, *, search: bool = False, spaces: CharSet = CharSet.SPACES) -> Node:
    """Reads a pattern as `re.compile(pattern, re.ASCII)` would, into a tree without positions and lookaround.

    Args:
        pattern: Python's syntax. Anchors are understood at the outer ends, of each alternative too.
        search: whether the pattern may match anywhere in the text, as JSON Schema's `pattern` does, instead of
            being the whole text.
        spaces: what `\\s` means.

    Raises:
        InvalidSpec: the pattern does not parse.
        UnsupportedConstraint: it uses lookaround, references, word boundaries, inner anchors, or other constructs
            that are no regular language or not known here.
        GrammarLimit: it is longer than `MAX_PATTERN_LENGTH` or nested too deeply.
    """
    tree = read_python(pattern, spaces=spaces)
    around = Repetition(Characters(CharSet.ALL), 0, None) if search else EMPTY
    return _Plain(pattern).sequence(tree, around, around)


class _Plain:
    """Takes the outer anchors out of a tree and writes out what they leave open."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def sequence(self, tree: Node, before: Node | None, after: Node | None) -> Node:
        """Reads a node as a sequence.

        `before` is None inside the pattern. Where the sequence begins the whole pattern, it is what may precede it
        unless an anchor says otherwise; `after` likewise for the end.
        """
        nodes = list(tree.items if isinstance(tree, Concatenation) else (tree,))
        # A line begins where the text does; where something may precede, it may begin elsewhere too.
        starts = LINE_STARTS if before == EMPTY else STARTS
        ends = LINE_ENDS if after == EMPTY else ENDS
        while nodes and before is not None and isinstance(nodes[0], Position) and nodes[0].place in starts:
            nodes, before = nodes[1:], EMPTY
        while nodes and after is not None and isinstance(nodes[-1], Position) and nodes[-1].place in ends:
            nodes, after = nodes[:-1], EMPTY
        items: list[Node] = []
        for index, node in enumerate(nodes):
            # A group at the outer end may hold the anchors of its alternatives: it is told what would precede it.
            outer_before = before if index == 0 else None
            outer_after = after if index == len(nodes) - 1 else None
            if isinstance(node, Alternation):
                items.append(Alternation(tuple(self.sequence(item, outer_before, outer_after) for item in node.items)))
            elif isinstance(node, Concatenation):
                items.append(self.sequence(node, outer_before, outer_after))
            else:
                items += [outer_before] if outer_before is not None else []
                items.append(self._item(node))
                items += [outer_after] if outer_after is not None else []
        if not nodes:
            items = [end for end in (before, after) if end is not None]
        items = [item for item in items if item != EMPTY]
        return items[0] if len(items) == 1 else Concatenation(tuple(items))

    def _item(self, node: Node) -> Node:
        if isinstance(node, Repetition):
            return Repetition(self.sequence(node.item, None, None), node.low, node.high)
        if isinstance(node, Position | Look):
            construct = "lookaround" if isinstance(node, Look) else "anchor or word boundary inside the pattern"
            raise UnsupportedConstraint(construct, shown(self._pattern), "not supported in a regex")
        return node
