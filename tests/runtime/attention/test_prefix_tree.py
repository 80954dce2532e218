"""The tree of shared pages, against what it has to be: every member's keys once, in order, from its own pages."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.attention.prefix_tree import FEWEST_PAGES, MOST_KEPT, Group, GroupedDecodes, Node, group_decodes

PAGE = 4


def tables(paths: list[list[int]]) -> np.ndarray:
    """Page tables of sequences that walk a tree: a path of equal choices is a prefix of equal pages."""
    width, seen = max(len(path) for path in paths), {}
    table = np.zeros((len(paths), width), dtype=np.int32)
    for row, path in zip(table, paths, strict=True):
        for depth in range(len(path)):
            row[depth] = seen.setdefault(tuple(path[: depth + 1]), len(seen) + 1)
    return table


def check(groups: list[Group], table: np.ndarray, lengths: np.ndarray) -> None:
    members = [member for group in groups for member in group.members]
    assert sorted(members) == list(range(len(lengths)))
    for group in groups:
        reach = dict.fromkeys(group.members, 0)
        for node in group.nodes:
            assert node.first_key % PAGE == 0
            assert node.first_key < node.end_key
            for member in group.members[node.first : node.first + node.num_members]:
                assert reach[member] == node.first_key
                reach[member] = node.end_key
                pages = slice(node.first_key // PAGE, -(-node.end_key // PAGE))
                assert (table[member, pages] == table[node.sequence, pages]).all()
                assert node.end_key <= lengths[member]
        assert reach == {member: lengths[member] for member in group.members}


@settings(max_examples=200, deadline=None)
@given(
    paths=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=14),
    cut=st.integers(0, PAGE - 1),
    most=st.integers(1, 8),
)
def test_every_member_reads_all_its_keys_once_and_in_order(paths: list[list[int]], cut: int, most: int) -> None:
    table = tables(paths)
    lengths = np.array([len(path) * PAGE - cut for path in paths])
    groups = group_decodes(table, lengths, PAGE, 200, most)
    check(groups, table, lengths)
    for group in groups:
        assert len(group.members) <= most
        assert len(group.members) == 1 or max(lengths[list(group.members)]) * len(group.members) <= 200


def test_forks_of_forks_share_level_by_level() -> None:
    paths = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 2], [0, 0, 0, 2, 2, 2], [0, 0, 0, 2, 2, 3], [5, 5, 5]]
    table, lengths = tables(paths), np.array([22, 23, 24, 21, 10])
    groups = group_decodes(table, lengths, PAGE, 10**6, 100)
    check(groups, table, lengths)
    assert sorted(len(group.members) for group in groups) == [1, 4]
    spans = sorted((node.num_members, node.first_key, node.end_key) for group in groups for node in group.nodes)
    assert spans == [
        (1, 0, 10),
        *((1, 20, length) for length in (21, 22, 23, 24)),
        (2, 12, 20),
        (2, 12, 20),
        (4, 0, 12),
    ]


def test_a_page_that_one_of_them_has_not_filled_is_not_shared() -> None:
    table = np.array([[1, 2, 3], [1, 2, 3]], dtype=np.int32)
    groups = group_decodes(table, np.array([12, 11]), PAGE, 10**6, 100)
    check(groups, table, np.array([12, 11]))
    assert max(node.end_key for node in groups[0].nodes if node.num_members == 2) == 8


def test_little_is_not_shared() -> None:
    table = np.arange(1, 1 + 2 * FEWEST_PAGES, dtype=np.int32).reshape(2, -1)
    table[:, : FEWEST_PAGES - 1] = 99
    groups = group_decodes(table, np.full(2, FEWEST_PAGES * PAGE), PAGE, 10**6, 100)
    assert [len(group.members) for group in groups] == [1, 1]


@settings(max_examples=100, deadline=None)
@given(
    paths=st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=7), min_size=1, max_size=9),
    steps=st.lists(st.sampled_from(["same", "longer", "other"]), max_size=12),
)
def test_what_is_kept_between_steps_is_what_would_be_found_anew(paths: list[list[int]], steps: list[str]) -> None:
    table = tables([[*path, 9 + i] for i, path in enumerate(paths)])
    lengths = np.array([len(path) * PAGE + 1 for path in paths])
    kept = GroupedDecodes(PAGE, 200, 4)
    for step in ["same", *steps]:
        if step == "longer":
            lengths = np.where(lengths % PAGE == 0, lengths, lengths + 1)
        elif step == "other":
            table = table[::-1].copy()
            lengths = lengths[::-1].copy()
        fresh = GroupedDecodes(PAGE, 200, 4)
        for found, expected in zip(kept.of(table, lengths), fresh.of(table, lengths), strict=True):
            assert found.tolist() == expected.tolist()


def groups_of(members: np.ndarray, items: np.ndarray, nodes: np.ndarray) -> list[Group]:
    found = []
    for first, count, begin, end in items.tolist():
        found.append(
            Group(members[first : first + count].tolist(), [Node(*node) for node in nodes[begin:end].tolist()])
        )
    return found


@settings(max_examples=100, deadline=None)
@given(
    paths=st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=7), min_size=1, max_size=9),
    grown=st.lists(st.lists(st.integers(0, 9), min_size=9, max_size=9), max_size=12),
    cut=st.integers(0, 11),
)
def test_what_is_kept_while_sequences_grow_into_new_pages_reads_all_their_keys(
    paths: list[list[int]], grown: list[list[int]], cut: int
) -> None:
    table = tables([[*path, 9 + i, *[2] * 40] for i, path in enumerate(paths)])
    lengths = np.array([len(path) * PAGE + 1 for path in paths], dtype=np.int32)
    kept = GroupedDecodes(PAGE, 200, 4)
    for place, more in enumerate([[0] * 9, *grown]):
        if place == cut:  # another sequence with the same first pages, and fewer keys
            lengths[0] = max(1, lengths[0] - 5)
        lengths = lengths + np.array(more[: len(paths)], dtype=np.int32)
        pages = -(-lengths // PAGE)
        seen = np.where(np.arange(table.shape[1]) < pages[:, None], table, 0)[:, : pages.max()]
        check(groups_of(*kept.of(seen, lengths)), seen, lengths)


def test_groups_are_kept_for_some_keys_and_no_more() -> None:
    table = np.arange(1, 101, dtype=np.int32).reshape(2, 50)
    kept, lengths = GroupedDecodes(PAGE, 10**6, 8), np.array([3, 9], dtype=np.int32)
    versions = []
    for step in range(2 * MOST_KEPT + 2):
        kept.of(table, lengths + step)
        versions.append(kept.version)
    assert versions == [1] * (MOST_KEPT + 1) + [2] * (MOST_KEPT + 1)
    kept.of(table[::-1].copy(), lengths + 2 * MOST_KEPT + 1)
    assert kept.version == 3
