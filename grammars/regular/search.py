"""Questions about a regular language that only a search among its derivatives answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from math import inf

from grammars.errors import GrammarLimit
from grammars.regular.kinds import Chars, Concat, Repeat, Texts, Union, subterms
from grammars.regular.term import Language

__all__ = ["find_longest", "find_shortest", "is_endless", "search_empty"]


def is_endless(language: Language, max_states: int) -> bool:
    """Whether every beginning of its texts has texts without number; False where more states were to be looked at."""
    reached = [language]
    for here in reached:
        if not here.moves() or len(reached) > max_states:
            return False
        reached += [after for after in dict.fromkeys(after for _, _, after in here.moves()) if after not in reached]
    return True


def search_empty(language: Language, max_states: int) -> bool:
    """Whether a language is empty, and notes the answer for every language met of which it is known then.

    Goes first where a text may be nearest by what the parts tell, and deep rather than wide.

    Raises:
        GrammarLimit: more than `max_states` languages would have to be looked at.
    """
    least = language.arena.bounds.least
    if _settled(language, least):
        return bool(language.known_empty)
    sources: dict[Language, list[Language]] = {language: []}
    frontier, expanded = [(least(language), 0, language)], 0
    found: list[Language] = []
    while frontier and not found:
        here = heappop(frontier)[2]
        expanded += 1
        if expanded > max_states:
            raise GrammarLimit(f"regular language: more than {max_states} states to see whether it is empty")
        for _, _, after in here.raw_moves():
            if after not in sources and not _settled(after, least):
                sources[after] = []
                heappush(frontier, (least(after), -len(sources), after))
            if after.known_empty is None:
                sources[after].append(here)
            elif not after.known_empty:
                sources.setdefault(after, []).append(here)
                found.append(after)
                break
    alive = _behind(found, sources)
    for reached in alive:
        reached.known_empty = False
    for dead in sources.keys() - _behind([*found, *(waiting for _, _, waiting in frontier)], sources):
        dead.known_empty = True
    return language not in alive


def _settled(language: Language, least: Callable[[Language], float]) -> bool:
    """Whether its parts tell if a language is empty, which is noted then."""
    if _known(language) is None and least(language) == inf:
        language.known_empty = True
    return language.known_empty is not None


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
        _measure_parts(language)
        return language.shortest
    # A* search (doi:10.1109/TSSC.1968.300136); what is known of a language's shortest text ends a way at once.
    least = language.arena.bounds.least
    lengths: dict[Language, int] = {language: 0}
    queue: list[tuple[float, int, int, Language | None]] = [(0, 0, 0, language)]
    expanded = queued = 0
    while True:
        _, depth, _, here = heappop(queue)
        if here is None:
            return -depth
        if -depth > lengths[here]:
            continue
        expanded += 1
        if expanded > max_states:
            raise GrammarLimit(f"regular language: more than {max_states} states to see how short its texts are")
        length = 1 - depth
        for _, _, after in here.raw_moves():
            if after.known_empty or lengths.get(after, inf) <= length:
                continue
            lengths[after] = length
            if after.structural or after.nullable:
                whole = length + after.shortest
                heappush(queue, (whole, -whole, -1, None))
            elif (rest := least(after)) < inf:
                queued += 1
                heappush(queue, (length + rest, -length, queued, after))


def find_longest(language: Language, max_states: int) -> int | None:
    """Length of the longest text of a language that is not empty; None without bound.

    Raises:
        GrammarLimit: more than `max_states` languages would have to be looked at.
    """
    if language.structural:
        _measure_parts(language)
        return language.longest
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


def _measure_parts(language: Language) -> None:
    """Finds how long the texts of a structural language are, from its smallest parts up."""
    for part in subterms(language):
        if part.measured:
            continue
        if isinstance(part, Concat):
            first, second = part.head.longest, part.tail.longest
            longest = None if first is None or second is None else first + second
            part.measure(part.head.shortest + part.tail.shortest, longest)
        elif isinstance(part, Repeat):
            longest = part.item.longest
            unbounded = longest != 0 and (longest is None or part.high is None)
            part.measure(part.low * part.item.shortest, None if unbounded else (longest or 0) * (part.high or 0))
        elif isinstance(part, Union):
            most = [item.longest for item in part.items]
            known = [length for length in most if length is not None]
            part.measure(min(item.shortest for item in part.items), max(known) if len(known) == len(most) else None)
        elif isinstance(part, Texts):
            lengths = [len(text) - part.depth for text in part.set.texts[part.low : part.high]]
            part.measure(min(lengths), max(lengths))
        else:
            length = 1 if isinstance(part, Chars) else 0
            part.measure(length, length)
