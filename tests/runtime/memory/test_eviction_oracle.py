"""Every policy against a plain oracle: a list of single pages, each with its own history, sorted by the definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.memory.cache import PrefixCache
from runtime.memory.eviction import POLICIES
from runtime.memory.node import Node
from runtime.memory.sequence import SequenceKV

PAGE = 2
Path = tuple[int, ...]
"""A page, by the first tokens of all pages up to it."""


@dataclass
class History:
    """What happened to one page."""

    made: int
    used: int
    takers: int = 0
    priority: int = 0
    awaited: int = 0
    is_spent: bool = False


ORACLE: Mapping[str, Callable[[History], tuple[int, ...]]] = MappingProxyType(
    {
        "lru": lambda page: (page.used,),
        "mru": lambda page: (-page.used,),
        "fifo": lambda page: (page.made,),
        "lfu": lambda page: (page.takers, page.used),
        "slru": lambda page: (1 if page.takers else 0, page.used),
        "priority": lambda page: (page.priority, page.used),
        "program": lambda page: (1 if page.awaited else -1 if page.is_spent else 0, page.used),
    }
)


@dataclass
class Oracle:
    """An unbounded list of pages."""

    policy: str
    now: int = 0
    pages: dict[Path, History] = field(default_factory=dict)

    def used(self, path: Path, priority: int) -> None:
        """A sequence went along a path, and made what was missing of it."""
        self.now += 1
        for place in range(1, len(path) + 1):
            page = self.pages.setdefault(path[:place], History(self.now, self.now))
            page.used, page.priority = self.now, max(page.priority, priority)

    def taken_over(self, path: Path, priority: int) -> None:
        """Another sequence took over what is there of a path."""
        there = [path[:place] for place in range(1, len(path) + 1) if path[:place] in self.pages]
        if there:
            self.used(there[-1], priority)
        for page in there:
            self.pages[page].takers += 1
            self.pages[page].is_spent = False

    def awaited(self, path: Path, by: int) -> None:
        for place in range(1, len(path) + 1):
            page = self.pages.get(path[:place])
            if page is not None:
                page.awaited, page.is_spent = page.awaited + by, False if by > 0 else page.is_spent

    def left(self, path: Path) -> None:
        """A program ended: the end of its path that is nobody else's is spent."""
        for place in range(len(path), 0, -1):
            page = self.pages[path[:place]]
            if page.takers or page.awaited:
                return
            page.is_spent = True

    def order(self) -> list[Path]:
        """All pages, as they go: always one that nothing follows."""
        left, gone = dict(self.pages), []
        while left:
            ends = [path for path in left if not any(len(o) > len(path) and o[: len(path)] == path for o in left)]
            first = min(ends, key=lambda path: ORACLE[self.policy](left[path]))
            gone.append(first)
            del left[first]
        return gone


def tokens_of(path: Path) -> list[int]:
    return [token for page in path for token in (page, 7)]


def evicted(cache: PrefixCache, tenants: Mapping[str, int]) -> list[Path]:
    """Everything, page by page, in the order in which it goes; the namespace's number stands before each path."""
    gone: list[Path] = []

    def note(node: Node) -> None:
        whole = b"".join(step.packed for step in reversed(list(node.path())))
        tokens = memoryview(whole).cast("i").tolist()[::PAGE]
        for end in range(len(tokens), len(tokens) - len(node.pages), -1):
            gone.append((tenants[node.namespace], *tokens[:end]))

    cache.tree.evicting = note
    while cache.tree.evict(1):
        cache.tree.check()
    return gone


Event = st.tuples(
    st.sampled_from(["", "x"]),
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
    st.integers(-1, 2),
    st.sampled_from(["close", "close and end", "come back", "stay away"]),
)


@pytest.mark.parametrize("policy", list(POLICIES))
@settings(max_examples=120, deadline=None)
@given(events=st.lists(Event, max_size=25))
def test_pages_go_in_the_order_of_the_definition(policy: str, events: list[tuple[str, list[int], int, str]]) -> None:
    """Priorities below zero count as none: a page starts from zero."""
    cache, oracle = PrefixCache(400, PAGE, policy), Oracle(policy)
    tenants = {"": 10, "x": 11}
    waiting: list[tuple[SequenceKV, Path, list[int]]] = []
    for namespace, pages, priority, end in events:
        # The oracle knows tenants as one more page before all others, that is no page of its own.
        path = (tenants[namespace], *pages)
        sequence = cache.open(namespace)
        sequence.priority = priority
        sequence.returns = {"close": None, "close and end": False}.get(end, True)
        tokens = tokens_of(tuple(pages))
        cache.attach(sequence, [*tokens, 0])
        oracle.taken_over(path, priority)
        assert cache.reserve(sequence, len(tokens))
        if sequence.kv_len < len(tokens):  # else there is nothing to book
            oracle.used(path, priority)
        sequence.kv_len = len(tokens)
        if end in ("close", "close and end"):
            cache.close(sequence, tokens)
            if end == "close and end":
                oracle.left(path)
            continue
        cache.release(sequence, tokens)
        oracle.awaited(path, 1)
        waiting.append((sequence, path, tokens))
        if end == "come back":
            back, path, tokens = waiting.pop(0)
            cache.attach(back, [*tokens, 0])
            oracle.awaited(path, -1)
            oracle.used(path, back.priority)
            back.returns = None
            cache.close(back, tokens)
    expected = [path for path in oracle.order() if len(path) > 1]
    assert evicted(cache, tenants) == expected
