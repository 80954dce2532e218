"""The tree against a plain set of prefixes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.pages import PagePool
from runtime.memory.radix import RadixTree


def insert(tree: RadixTree, tokens: list[int], namespace: str = "") -> list[int]:
    pages = tree.pool.allocate(len(tokens) // tree.page_size, Owner.SESSION)
    tree.insert(tokens, pages, Owner.SESSION, namespace)
    return pages


def length(tree: RadixTree, tokens: list[int], namespace: str = "") -> int:
    return tree.match(tokens, len(tokens), namespace).length


def test_a_match_is_page_aligned_and_within_its_limit() -> None:
    tree = RadixTree(PagePool(8, 4))
    pages = insert(tree, list(range(12)))
    assert length(tree, list(range(12))) == 12
    assert tree.match(list(range(12)), 11).length == 8
    assert length(tree, [*range(6), 99, 99]) == 4
    assert length(tree, [99, *range(11)]) == 0
    match = tree.match([*range(8), 50], 9)
    assert tree.pages(match) == pages[:2]


def test_matching_changes_nothing() -> None:
    tree = RadixTree(PagePool(8, 4))
    insert(tree, list(range(12)))
    before = (tree.version, [(id(n), n.last_use, n.num_locks) for n in tree.root.walk()])
    tree.match([*range(8), 50], 9)
    assert (tree.version, [(id(n), n.last_use, n.num_locks) for n in tree.root.walk()]) == before


def test_namespaces_keep_apart() -> None:
    tree = RadixTree(PagePool(8, 4))
    insert(tree, list(range(8)), "a")
    assert length(tree, list(range(8)), "b") == 0
    insert(tree, list(range(4)), "b")
    assert (length(tree, list(range(8)), "a"), length(tree, list(range(8)), "b")) == (8, 4)
    tree.check()


def test_duplicates_are_freed_and_the_trees_own_pages_stay() -> None:
    tree = RadixTree(PagePool(8, 4))
    first = insert(tree, list(range(8)))
    second = tree.pool.allocate(3, Owner.SESSION)
    node = tree.insert(list(range(12)), second, Owner.SESSION)
    assert node.path_pages() == [*first, second[2]]
    assert tree.pool.num_free == 8 - 3
    assert tree.pool.ledger.slots(Owner.SESSION) == 0
    tree.check()


def test_a_taken_prefix_is_split_off_and_stays() -> None:
    tree = RadixTree(PagePool(8, 4))
    insert(tree, list(range(12)))
    node = tree.take(tree.match(list(range(8)), 8))
    assert node.end == 8
    assert (tree.num_protected, tree.num_evictable) == (8, 4)
    assert tree.clear() == 4
    assert length(tree, list(range(12))) == 8
    tree.unlock(node)
    with pytest.raises(LedgerError, match="unlocked node"):
        tree.unlock(node)
    assert tree.clear() == 8
    assert tree.pool.num_free == 8


def test_a_split_carries_the_locks_of_what_is_below() -> None:
    tree = RadixTree(PagePool(8, 4))
    insert(tree, list(range(12)))
    below = tree.take(tree.match(list(range(12)), 12))
    upper = tree.take(tree.match(list(range(4)), 4))
    assert (upper.num_locks, below.num_locks) == (2, 1)
    tree.unlock(upper)
    assert tree.clear() == 0
    tree.unlock(below)
    assert tree.clear() == 12
    tree.check()


def test_least_recently_used_leaves_go_first() -> None:
    tree = RadixTree(PagePool(8, 1))
    for tokens in ([1, 2], [3, 4], [5, 6]):
        insert(tree, tokens)
    tree.unlock(tree.take(tree.match([1, 2], 2)))
    assert tree.evict(1) == 2
    assert [length(tree, t) for t in ([1, 2], [3, 4], [5, 6])] == [2, 0, 2]
    assert tree.evict(1) == 2
    assert [length(tree, t) for t in ([1, 2], [5, 6])] == [2, 0]


def test_a_parent_goes_after_its_children() -> None:
    tree = RadixTree(PagePool(8, 1))
    insert(tree, [1, 2, 3])
    insert(tree, [1, 2, 4])
    assert tree.evict(2) == 2
    assert length(tree, [1, 2]) == 2
    assert tree.evict(1) == 2
    assert tree.pool.num_free == 8


def test_ancestor_splits_where_it_must() -> None:
    tree = RadixTree(PagePool(8, 4))
    insert(tree, list(range(16)))
    node = tree.take(tree.match(list(range(16)), 16))
    for tokens in (16, 8, 4, 12, 0):
        found = tree.ancestor(node, tokens)
        assert found.end == tokens
        tree.check()
    tree.unlock(node)


def test_the_version_changes_with_what_is_cached() -> None:
    tree = RadixTree(PagePool(8, 4))
    versions = [tree.version]
    insert(tree, list(range(8)))
    versions.append(tree.version)
    tree.evict(1)
    versions.append(tree.version)
    assert len(set(versions)) == 3


Token = st.integers(0, 2)


@settings(deadline=None)
@given(
    runs=st.lists(st.tuples(st.lists(Token, max_size=14), st.sampled_from(["", "x"])), max_size=12),
    probe=st.lists(Token, max_size=14),
    page_size=st.sampled_from([1, 2, 4]),
)
def test_against_a_set_of_prefixes(runs: list[tuple[list[int], str]], probe: list[int], page_size: int) -> None:
    tree = RadixTree(PagePool(400, page_size))
    known = set()
    for tokens, namespace in runs:
        full = tokens[: len(tokens) - len(tokens) % page_size]
        if full:
            insert(tree, full, namespace)
        known |= {(namespace, tuple(full[:end])) for end in range(page_size, len(full) + 1, page_size)}
        tree.check()
    assert tree.num_evictable == len(known) * page_size
    for namespace in ("", "x"):
        ends = range(page_size, len(probe) + 1, page_size)
        assert length(tree, probe, namespace) == max(
            (end for end in ends if (namespace, tuple(probe[:end])) in known), default=0
        )
    tree.clear()
    assert tree.pool.num_free == 400


def test_many_touches_do_not_swell_the_heap() -> None:
    tree = RadixTree(PagePool(4, 1))
    insert(tree, [1, 2])
    for _ in range(2000):
        tree.unlock(tree.take(tree.match([1, 2], 2)))
    assert len(tree._leaves) <= 65
    assert tree.evict(2) == 2
