from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from grammars import Vocabulary
from grammars.machine.kernels import Kernels
from grammars.machine.scratch import SCRATCH_SIZE
from grammars.machine.tables import VocabularyTables
from grammars.machine.trie import BYTE_AT, DEPTH_AT, build_trie

DAMAGES = {
    "empty": lambda whole: b"",
    "cut off": lambda whole: whole[: len(whole) // 2],
    "no archive": lambda whole: b"not an archive at all",
    "an archive's beginning": lambda whole: whole[:4],
    "other bytes within": lambda whole: whole[:200] + b"\x55" * 64 + whole[264:],
}


def test_the_trie_is_kept_between_processes(vocabulary: Vocabulary, plain: Kernels, tmp_path: Path) -> None:
    folder = tmp_path / "some" / "folder"
    VocabularyTables(vocabulary, kernels=plain, cache_dir=folder)
    (kept,) = folder.iterdir()
    with np.load(kept) as content:
        marked = content["trie"]
        marked[-1] += 1
    np.savez(kept, trie=marked)
    assert (VocabularyTables(vocabulary, kernels=plain, cache_dir=folder).trie == marked).all()
    other = Vocabulary([*vocabulary.tokens, b"more"], vocabulary.end_tokens)
    VocabularyTables(other, kernels=plain, cache_dir=folder)
    named = Vocabulary(vocabulary.tokens, vocabulary.end_tokens, special={"<|x|>": len(vocabulary) - 3})
    VocabularyTables(named, kernels=plain, cache_dir=folder)
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(
    damage: str, vocabulary: Vocabulary, plain: Kernels, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = build_trie(vocabulary)
    VocabularyTables(vocabulary, kernels=plain, cache_dir=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(DAMAGES[damage](kept.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert (VocabularyTables(vocabulary, kernels=plain, cache_dir=tmp_path).trie == whole).all()
    assert str(kept) in caplog.text
    caplog.clear()
    assert (VocabularyTables(vocabulary, kernels=plain, cache_dir=tmp_path).trie == whole).all()
    assert not caplog.records
    assert list(tmp_path.iterdir()) == [kept]


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    vocabulary: Vocabulary, plain: Kernels, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("here already")
    with caplog.at_level(logging.WARNING):
        tables = VocabularyTables(vocabulary, kernels=plain, cache_dir=tmp_path / "file")
    assert (tables.trie == build_trie(vocabulary)).all()
    assert "vocabulary table" in caplog.text


def test_paths_lead_to_nodes(vocabulary: Vocabulary, plain: Kernels) -> None:
    tables = VocabularyTables(vocabulary, kernels=plain)
    depths, ends = int(tables.trie[DEPTH_AT]), int(tables.trie[BYTE_AT])
    paths = [tables.path_to(node) for node in range(1, tables.num_nodes)]
    assert paths == sorted(set(paths))
    for node, path in enumerate(paths, 1):
        assert (len(path), path[-1]) == (tables.trie[depths + node], tables.trie[ends + node])


def test_pairs_are_grouped_by_move_and_byte(vocabulary: Vocabulary, plain: Kernels) -> None:
    tables = VocabularyTables(vocabulary, kernels=plain)
    pairs = np.array([[9, 5], [3, 7], [9, 5 + 1], [3, 2], [3, 7]], np.int32)
    grouped = tables.grouped(pairs)
    groups = grouped[2 : 2 + 4 * grouped[1]].reshape(-1, 4).tolist()
    flat = [(move, node) for move, _, at, count in groups for node in grouped[at : at + count].tolist()]
    assert sorted(flat) == sorted(map(tuple, pairs.tolist()))
    keys = [(move, byte) for move, byte, _, _ in groups]
    assert keys == sorted(set(keys))
    for _, byte, at, count in groups:
        nodes = grouped[at : at + count].tolist()
        assert {int(tables.trie[int(tables.trie[BYTE_AT]) + node]) for node in nodes} == {byte}


def test_kept_masks_are_found_again_however_many_there_are(vocabulary: Vocabulary, plain: Kernels) -> None:
    tables = VocabularyTables(vocabulary, kernels=plain)
    rng = np.random.default_rng(1)
    masks = [rng.integers(0, 2**32, tables.num_words, np.uint32) for _ in range(20)]
    behind = [tables.grouped(np.array([[3, number + 1]], np.int32)) for number in range(20)]
    slots = [tables.keep(("name", number), mask, behind[number], number) for number, mask in enumerate(masks)]
    assert len(set(slots)) == 20
    assert tables.found("name") is None
    for number, (slot, mask) in enumerate(zip(slots, masks, strict=True)):
        assert slot < 0
        assert (tables.shared[-1 - slot] == mask).all()
        found = tables.found(("name", number))
        assert found is not None
        assert (found[0], found[1].tolist(), found[2]) == (slot, behind[number].tolist(), number)


def test_nobody_shares_working_memory(vocabulary: Vocabulary, plain: Kernels) -> None:
    tables = VocabularyTables(vocabulary, kernels=plain)
    first, second = tables.take_scratch(), tables.take_scratch()
    assert first is not second
    assert len(first) == len(second) == SCRATCH_SIZE
    tables.give_scratch(first)
    assert tables.take_scratch() is first
