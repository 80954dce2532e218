from __future__ import annotations

from typing import Any

from sgdsl.backends.told_session import ToldSession


class Kept(ToldSession):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Any]] = []

    def _tell(self, what: str, value: Any) -> None:
        self.told.append((what, value))


def test_each_piece_is_a_method_and_what_it_was_called_with() -> None:
    first, second = Kept(), Kept()
    ids = [1, 2]
    first.begin_role("user")
    first.append("text")
    first.append(ids)
    first.append_image("data:image/png;base64,AA==")
    first.end_role("user")
    ids.append(3)
    assert first.told[2] == ("append", (1, 2))
    for what, value in first.told:
        getattr(second, what)(value)
    assert second.told == first.told
