"""Turns the tree of a regular expression into a language.

A tree without positions and lookaround is translated part by part. Otherwise it is translated from its end to its
beginning: each part is given what may follow it up to the end of the text (`Rest`) and says what may follow from its
own beginning on. A lookahead is then an intersection with what follows; `$` leaves the empty text of it; and what looks
back (`^`, `\\b`, lookbehind) chooses by what the character before is.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.regular.charset import CharSet
from grammars.regular.kinds import Chars, Repeat, Union
from grammars.regular.language import Language, Languages
from grammars.regular.syntax import (
    EMPTY,
    Alternation,
    Characters,
    Concatenation,
    Look,
    Node,
    Place,
    Position,
    Repetition,
)

__all__ = ["PatternCompiler"]

MAX_COPIES = 5_000
"""How often parts with positions or lookaround in them are written out, in all."""
AT_START = Position(Place.START)
AT_END = Position(Place.END)
AT_LAST_LINE_END = Position(Place.LAST_LINE_END)
NEWLINE = CharSet.chars("\n")


@dataclass(frozen=True, slots=True)
class Rest:
    """What may follow up to the end of the text, by what precedes.

    Attributes:
        fresh: where no character was read since the innermost loop around began its round: first at the start of the
            text, then for each class of the character before.
        read: where some was, for each class of the character before.
    """

    fresh: tuple[Language, ...]
    read: tuple[Language, ...]

    @property
    def only(self) -> Language | None:
        """What follows, if that is the same whatever precedes."""
        first = self.read[0]
        return first if all(one is first for one in self.fresh) and all(one is first for one in self.read) else None


class PatternCompiler:
    """Translates one tree.

    Args:
        languages: the arena.
        node: the tree.
        pattern: how the pattern is shown in messages.
    """

    def __init__(self, languages: Languages, node: Node, pattern: str) -> None:
        self._arena = languages
        self._node = node
        self._pattern = pattern
        self._copies = 0
        self._plain: dict[int, tuple[Node, Language | None]] = {}
        self._classes: list[CharSet] = []

    def language(self, search: bool) -> Language:
        """The texts that the tree describes, or in which such a text is found when `search`."""
        plain = self._anchored(self._node, search)
        if plain is not None:
            return plain
        self._classes = _classes(self._node)
        return self._framed(self._node, self._arena.everything if search else self._arena.epsilon, search)

    def _anchored(self, node: Node, search: bool) -> Language | None:
        """The language of what has anchors at its outer ends alone, as most patterns do; None for others."""
        arena = self._arena
        if isinstance(node, Alternation) and self._translated(node) is None:
            ways = [self._anchored(item, search) for item in node.items]
            known = [way for way in ways if way is not None]
            return arena.union(*known) if len(known) == len(ways) else None
        items = node.items if isinstance(node, Concatenation) else (node,)
        before = after = arena.everything if search else arena.epsilon
        if items and items[0] == AT_START:
            items, before = items[1:], arena.epsilon
        if items and items[-1] in (AT_END, AT_LAST_LINE_END):
            newline = search and items[-1] == AT_LAST_LINE_END
            items, after = items[:-1], arena.literals(["", "\n"]) if newline else arena.epsilon
        middle = self._translated(items[0] if len(items) == 1 else Concatenation(items))
        return None if middle is None else arena.concat(before, middle, after)

    def _framed(self, node: Node, after: Language, search: bool) -> Language:
        """The node with `after` behind it, and anything before it when `search`."""
        before = self._arena.everything if search else self._arena.epsilon
        items = list(node.items if isinstance(node, Concatenation) else (node,))
        while items and isinstance(items[0], Look) and items[0].behind and _looked_behind(items[0].item) is None:
            look = items.pop(0)
            assert isinstance(look, Look)
            ended = self._framed(look.item, self._arena.epsilon, search=True)
            before = self._arena.intersect(before, self._arena.complement(ended) if look.negated else ended)
        rest = self._before(Concatenation(tuple(items)), self._always(after))
        return self._through(before, rest.fresh[1:], rest.fresh[0])

    def _always(self, language: Language) -> Rest:
        count = len(self._classes)
        return Rest((language,) * (count + 1), (language,) * count)

    def _translated(self, node: Node) -> Language | None:
        """The language of a tree without positions and lookaround; None with some."""
        # By identity, for a node's hash takes its whole tree; the node is kept so that its identity stays its own.
        known = self._plain.get(id(node))
        if known is None:
            known = self._plain[id(node)] = (node, self._translate(node))
        return known[1]

    def _translate(self, node: Node) -> Language | None:
        arena = self._arena
        if isinstance(node, Characters):
            return arena.chars(node.chars)
        if isinstance(node, Repetition):
            item = self._translated(node.item)
            return None if item is None else arena.repeat(item, node.low, node.high)
        if isinstance(node, Position | Look):
            return None
        parts = []
        for piece in _words(node.items) if isinstance(node, Alternation) else _runs(node.items):
            part = arena.literals(piece) if isinstance(piece, list) else self._translated(piece)
            if part is None:
                return None
            parts.append(part)
        return arena.union(*parts) if isinstance(node, Alternation) else arena.concat(*parts)

    def _before(self, node: Node, rest: Rest) -> Rest:
        """What may follow from the beginning of the node on."""
        plain = self._translated(node)
        if plain is not None:
            return self._before_plain(plain, rest)
        if isinstance(node, Concatenation):
            for item in reversed(node.items):
                rest = self._before(item, rest)
            return rest
        if isinstance(node, Alternation):
            return self._either([self._before(item, rest) for item in node.items])
        if isinstance(node, Repetition):
            return self._before_repetition(node, rest)
        if isinstance(node, Position):
            return self._before_position(node.place, rest)
        assert isinstance(node, Look)
        return self._before_look(node, rest)

    def _either(self, ways: list[Rest]) -> Rest:
        union = self._arena.union
        return Rest(
            tuple(union(*some) for some in zip(*(way.fresh for way in ways), strict=True)),
            tuple(union(*some) for some in zip(*(way.read for way in ways), strict=True)),
        )

    def _both(self, rest: Rest, others: tuple[Language, ...]) -> Rest:
        """Intersects with one language for the start and one for each class."""
        meet = self._arena.intersect
        return Rest(
            tuple(meet(one, other) for one, other in zip(rest.fresh, others, strict=True)),
            tuple(meet(one, other) for one, other in zip(rest.read, others[1:], strict=True)),
        )

    def _before_plain(self, plain: Language, rest: Rest) -> Rest:
        concat = self._arena.concat
        only = rest.only
        if only is not None:
            return self._always(concat(plain, only))
        through = self._through(_nonempty(self._arena, plain), rest.read, None)
        if not plain.nullable:
            return self._always(through)
        return self._either([self._always(through), rest])

    def _through(self, language: Language, afters: tuple[Language, ...], at_start: Language | None) -> Language:
        """A text of a language, and then what follows the character that it ends with; `at_start` if it is empty."""
        arena = self._arena
        if all(after is afters[0] for after in afters):
            if at_start is afters[0]:
                return arena.concat(language, at_start)
            ways = [arena.concat(_nonempty(arena, language), afters[0])]
        else:
            ways = [
                arena.concat(_ending(arena, language, chars), after)
                for chars, after in zip(self._classes, afters, strict=True)
            ]
        if at_start is not None and language.nullable:
            ways.append(at_start)
        return arena.union(*ways)

    def _before_repetition(self, node: Repetition, rest: Rest) -> Rest:
        if node.high is None:
            here = self._before_loop(node.item, rest)
        else:
            here = rest
            for _ in range(node.high - node.low):
                here = self._either([rest, self._copied(node.item, here)])
        for _ in range(node.low):
            here = self._copied(node.item, here)
        return here

    def _copied(self, node: Node, rest: Rest) -> Rest:
        self._copies += 1
        if self._copies > MAX_COPIES:
            raise GrammarLimit(f"regex {self._pattern}: a lookaround or position is repeated too often")
        return self._before(node, rest)

    def _before_loop(self, item: Node, rest: Rest) -> Rest:
        """Any number of items: R = rest ∪ item·R, where the item reads something before R is asked."""
        arena = self._arena
        loops = [
            arena.loop((item, rest.read, tuple(self._classes), index), after.nullable)
            for index, after in enumerate(rest.read)
        ]
        again = self._copied(item, Rest((arena.nothing,) * len(rest.fresh), tuple(loops))).fresh
        for loop, after, more in zip(loops, rest.read, again[1:], strict=True):
            arena.define_loop(loop, arena.union(after, more))
        fresh = tuple(arena.union(after, more) for after, more in zip(rest.fresh, again, strict=True))
        return Rest(fresh, tuple(loops))

    def _before_position(self, place: Place, rest: Rest) -> Rest:
        arena, count = self._arena, len(self._classes)
        if place is Place.START:
            return self._both(rest, (arena.everything, *(arena.nothing,) * count))
        if place is Place.LINE_START:
            newline = [arena.everything if chars == NEWLINE else arena.nothing for chars in self._classes]
            return self._both(rest, (arena.everything, *newline))
        if place in (Place.WORD_EDGE, Place.NO_WORD_EDGE):
            word = arena.concat(arena.chars(CharSet.WORD), arena.everything)
            other = arena.concat(arena.chars(CharSet.WORD.complement()), arena.everything)
            other = arena.repeat(other, 0, 1)
            inside, outside = (other, word) if place is Place.WORD_EDGE else (word, other)
            edges = [inside if _within(chars, CharSet.WORD) else outside for chars in self._classes]
            return self._both(rest, (outside, *edges))
        ends = {
            Place.END: arena.epsilon,
            Place.LAST_LINE_END: arena.literals(["", "\n"]),
            Place.LINE_END: arena.repeat(arena.concat(arena.chars(NEWLINE), arena.everything), 0, 1),
        }
        return self._both(rest, (ends[place],) * (count + 1))

    def _before_look(self, node: Look, rest: Rest) -> Rest:
        arena = self._arena
        if not node.behind:
            ahead = self._before(node.item, self._always(arena.everything)).fresh
            return self._both(rest, tuple(arena.complement(one) for one in ahead) if node.negated else ahead)
        behind = _looked_behind(node.item)
        if behind is None:
            raise UnsupportedConstraint(
                "lookbehind", self._pattern, "only at one character, or where a searching pattern begins"
            )
        at_start, chars = behind
        holds = [at_start, *(_within(one, chars) for one in self._classes)]
        return self._both(rest, tuple(arena.everything if one != node.negated else arena.nothing for one in holds))


def _looked_behind(node: Node) -> tuple[bool, CharSet] | None:
    """Whether a lookbehind holds at the start of a text, and the characters behind which it does; None for longer."""
    if isinstance(node, Characters):
        return False, node.chars
    if isinstance(node, Position) and node.place is Place.START:
        return True, CharSet(())
    if isinstance(node, Position) and node.place is Place.LINE_START:
        return True, NEWLINE
    if node == EMPTY:
        return True, CharSet.ALL
    if not isinstance(node, Alternation):
        return None
    parts = [_looked_behind(item) for item in node.items]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return any(start for start, _ in known), CharSet.of(pair for _, chars in known for pair in chars.ranges)


def _classes(node: Node) -> list[CharSet]:
    """Cuts the characters into classes that nothing in a tree tells apart by looking back."""
    classes = [CharSet.ALL]
    for cut in dict.fromkeys(_cuts(node)):
        pieces = [piece for chars in classes for piece in (chars & cut, chars - cut)]
        classes = [piece for piece in pieces if piece]
    return classes


def _cuts(node: Node) -> list[CharSet]:
    if isinstance(node, Characters):
        return []
    if isinstance(node, Position):
        if node.place is Place.LINE_START:
            return [NEWLINE]
        return [CharSet.WORD] if node.place in (Place.WORD_EDGE, Place.NO_WORD_EDGE) else []
    if isinstance(node, Alternation | Concatenation):
        return [cut for item in node.items for cut in _cuts(item)]
    cuts = _cuts(node.item)
    if isinstance(node, Look) and node.behind:
        behind = _looked_behind(node.item)
        cuts += [behind[1]] if behind is not None else []
    return cuts


def _within(chars: CharSet, others: CharSet) -> bool:
    """Whether a class, which no cut goes through, is on the inner side of one."""
    return chr(chars.ranges[0][0]) in others


def _words(nodes: tuple[Node, ...]) -> list[Node | list[str]]:
    """Alternatives, with those that are nothing but one text gathered in a list."""
    words: list[str] = []
    others: list[Node | list[str]] = []
    for node in nodes:
        pieces = _runs(node.items if isinstance(node, Concatenation) else (node,))
        if len(pieces) == 1 and isinstance(pieces[0], list):
            words += pieces[0]
        else:
            others.append(node)
    return [words, *others] if words else others


def _runs(nodes: tuple[Node, ...]) -> list[Node | list[str]]:
    """What stands one after another, with single characters in a row as one text in a list."""
    pieces: list[Node | list[str]] = []
    for node in nodes:
        char = node.chars.single if isinstance(node, Characters) else None
        if char is None:
            pieces.append(node)
        elif pieces and isinstance(pieces[-1], list):
            pieces[-1][0] += char
        else:
            pieces.append([char])
    return pieces


def _nonempty(arena: Languages, language: Language) -> Language:
    """The texts of a language that are not empty."""
    if not language.nullable:
        return language
    if isinstance(language, Repeat) and not language.item.nullable:
        return arena.repeat(language.item, 1, language.high)
    if isinstance(language, Union):
        return arena.union(*(_nonempty(arena, item) for item in language.items))
    if language is arena.epsilon:
        return arena.nothing
    return arena.intersect(language, arena.repeat(arena.any_char, 1, None))


def _ending(arena: Languages, language: Language, chars: CharSet) -> Language:
    """The texts of a language that end with one of some characters."""
    if isinstance(language, Chars):
        return arena.intersect(language, arena.chars(chars))
    if isinstance(language, Repeat) and isinstance(language.item, Chars):
        high = None if language.high is None else language.high - 1
        last = arena.intersect(language.item, arena.chars(chars))
        return arena.concat(arena.repeat(language.item, max(language.low - 1, 0), high), last)
    return arena.intersect(language, arena.concat(arena.everything, arena.chars(chars)))
