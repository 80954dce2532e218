"""The directory's lock: one holder at a time, who learns whether somebody else was there."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.memory.tiers import folder_lock
from runtime.memory.tiers.folder_lock import NAME, FolderLock


def test_a_holder_learns_whether_others_were_there(tmp_path: Path) -> None:
    one, other = FolderLock(tmp_path), FolderLock(tmp_path)
    seen = []
    for lock in (one, one, other, one, one, other, other):
        with lock.held() as is_changed:
            seen.append(is_changed)
    assert seen == [True, False, True, True, False, True, False]


def test_it_is_given_back_whatever_happens_and_what_was_begun_counts(tmp_path: Path) -> None:
    one, other = FolderLock(tmp_path), FolderLock(tmp_path)
    with other.held():
        pass
    with pytest.raises(ZeroDivisionError), one.held():
        raise ZeroDivisionError
    with other.held() as is_changed:
        assert is_changed


def test_who_does_not_let_go_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_lock, "PATIENCE_SECONDS", 0.0)
    one, other = FolderLock(tmp_path), FolderLock(tmp_path)
    with one.held(), pytest.raises(TimeoutError, match=f"another engine has held {NAME} for 0 s"), other.held():
        pass
    with other.held() as is_changed:
        assert is_changed


@pytest.mark.parametrize("content", [b"", b"\x07", b"\xff" * 8, b"anything else, and much longer"])
def test_a_count_that_was_damaged_is_only_another_one(tmp_path: Path, content: bytes) -> None:
    lock = FolderLock(tmp_path)
    (tmp_path / NAME).write_bytes(content)
    seen = []
    for _ in range(2):
        with lock.held() as is_changed:
            seen.append(is_changed)
    assert seen == [True, False]
