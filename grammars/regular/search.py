"""Questions about a regular language that only a search among its derivatives answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from grammars.errors import GrammarLimit
from grammars.regular.term import Chars, Concat, Language, Repeat, Texts, Union

__all__ = ["find_longest", "find_shortest", "search_empty"]


def search_empty(language: Language, max_states: int) -> bool:
    """Whether a language is empty, and notes the answer for every language met of which it is known then.

    Goes deep first, for most languages that are not empty have a text somewhere down any way.

    Raises:
        GrammarLimit: more than `max_states` languages would have to be looked at.
    """
    if _known(language) is not None:
        return bool(language.known_empty)
    sources: dict[Language, list[Language]] = {language: []}
    frontier, expanded = [language], 0
    found: Language | None = None
    while frontier and found is None:
        here = frontier.pop()
        expanded += 1
        if expanded > max_states:
            raise GrammarLimit(f"regular language: more than {max_states} states to see whether it is empty")
        for _, _, after in here.raw_moves():
            empty = _known(after)
            if empty:
                continue
            if after not in sources:
                sources[after] = []
                if empty is None:
                    frontier.append(after)
            sources[after].append(here)
            if empty is False:
                found = after
                break
    open_ways = {*frontier, *((found,) if found else ())}
    alive = _behind([found] if found else [], sources)
    for reached in alive:
        reached.known_empty = False
    for dead in sources.keys() - _behind(open_ways, sources):
        dead.known_empty = True
    return language not in alive


def _known(language: Language) -> bool | None:
    """Whether a language is empty, as far as its parts tell; None if they do not."""
    if language.known_empty is None:
        if isinstance(language, Concat):
            parts = [_known(language.head), _known(language.tail)]
            if True in parts:
                language.known_empty = True
            elif None not in parts:
                language.known_empty = False
        elif isinstance(language, Union):
            parts = [_known(item) for item in language.items]
            if False in parts:
                language.known_empty = False
            elif None not in parts:
                language.known_empty = True
        elif isinstance(language, Repeat):
            empty = _known(language.item)
            if empty is not None:
                language.known_empty = empty
    return language.known_empty


def _behind(ends: Iterable[Language], sources: dict[Language, list[Language]]) -> set[Language]:
    """Everything from which one of `ends` is reached."""
    reached = set(ends)
    waiting = list(reached)
    while waiting:
        for source in sources[waiting.pop()]:
            if source not in reached:
                reached.add(source)
                waiting.append(source)
    return reached


def find_shortest(language: Language, max_states: int) -> int:
    """Length of the shortest text of a language that is not empty.

    Raises:
        GrammarLimit: more than `max_states` languages would have to be looked at.
    """
    if language.nullable:
        return 0
    if language.structural:
        return _shortest_of_parts(language)
    # Dijkstra's search; what is known of a language's shortest text ends a way at once.
    queue: list[tuple[int, int, Language | None]] = [(0, language.number, language)]
    seen = {language}
    while True:
        length, _, here = heappop(queue)
        if here is None:
            return length
        if len(seen) > max_states:
            raise GrammarLimit(f"regular language: more than {max_states} states to see how short its texts are")
        for _, _, after in here.moves():
            if after not in seen:
                seen.add(after)
                if after.structural or after.nullable:
                    heappush(queue, (length + 1 + after.shortest, -1, None))
                else:
                    heappush(queue, (length + 1, after.number, after))


def _shortest_of_parts(language: Language) -> int:
    if isinstance(language, Concat):
        return sum(part.shortest for part in _parts(language))
    if isinstance(language, Repeat):
        return language.low * language.item.shortest
    if isinstance(language, Union):
        return min(item.shortest for item in language.items)
    if isinstance(language, Texts):
        return min(len(text) for text in language.set.texts[language.low : language.high]) - language.depth
    return 1


def find_longest(language: Language, max_states: int) -> int | None:
    """Length of the longest text of a language that is not empty; None without bound.

    Raises:
        GrammarLimit: more than `max_states` languages would have to be looked at.
    """
    if language.structural:
        return _longest_of_parts(language)
    lengths: dict[Language, int] = {}
    path = {language}
    stack = [(language, iter([after for _, _, after in language.moves()]))]
    lengths[language] = 0
    while stack:
        here, rest = stack[-1]
        after = next(rest, None)
        if after is None:
            stack.pop()
            path.discard(here)
            if stack:
                above = stack[-1][0]
                lengths[above] = max(lengths[above], lengths[here] + 1)
            continue
        if after in path:
            return None
        if after not in lengths:
            if after.structural:
                known = after.longest
                if known is None:
                    return None
                lengths[after] = known
            else:
                if len(lengths) > max_states:
                    raise GrammarLimit(f"regular language: more than {max_states} states to see how long its texts are")
                lengths[after] = 0
                path.add(after)
                stack.append((after, iter([further for _, _, further in after.moves()])))
                continue
        lengths[here] = max(lengths[here], lengths[after] + 1)
    return lengths[language]


def _longest_of_parts(language: Language) -> int | None:
    if isinstance(language, Concat):
        return _combined((part.longest for part in _parts(language)), sum)
    if isinstance(language, Repeat):
        longest = language.item.longest
        if longest == 0:
            return 0
        return None if longest is None or language.high is None else longest * language.high
    if isinstance(language, Union):
        return _combined((item.longest for item in language.items), max)
    if isinstance(language, Texts):
        return max(len(text) for text in language.set.texts[language.low : language.high]) - language.depth
    return 1 if isinstance(language, Chars) else 0


def _combined(lengths: Iterable[int | None], how: Callable[[list[int]], int]) -> int | None:
    known: list[int] = []
    for length in lengths:
        if length is None:
            return None
        known.append(length)
    return how(known)


def _parts(language: Language) -> list[Language]:
    """What a concatenation consists of."""
    out = []
    while isinstance(language, Concat):
        out.append(language.head)
        language = language.tail
    return [*out, language]
