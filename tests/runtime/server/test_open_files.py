from __future__ import annotations

import resource

import pytest

from runtime.errors import ConfigError
from runtime.server.open_files import OpenFiles


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 5000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    assert OpenFiles.raised().limit == 5000
    assert limits[-1] == (5000, 5000)


def test_a_hard_limit_that_cannot_be_had_leaves_the_soft_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert OpenFiles.raised().limit == 256


@pytest.mark.parametrize("limit", [128, 256, 1024, 4096, 20_000, 1 << 20])
def test_what_is_let_in_leaves_room_for_two_goes_and_the_rest(limit: int) -> None:
    files = OpenFiles(limit)
    assert files.num_clients is not None
    assert files.num_clients >= min(32, limit // 4)
    assert files.num_clients + 2 * files.at_once + 64 <= limit


def test_no_limit_lets_all_in() -> None:
    assert (OpenFiles(None).num_clients, OpenFiles(None).shortage(10**9)) == (None, None)


def test_a_shortage_is_told_with_what_would_suffice() -> None:
    said = OpenFiles(1024).shortage(4096)
    assert said is not None
    assert "RLIMIT_NOFILE=1024 lets 704 clients connect at once, fewer than max_requests=4096; 6208 would" in said
    assert OpenFiles(6208).shortage(4096) is None


def test_a_limit_that_is_hopeless_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"RLIMIT_NOFILE=100 is not enough.*at least 128"):
        OpenFiles(100)
