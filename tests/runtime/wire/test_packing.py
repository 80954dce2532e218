from __future__ import annotations

from itertools import chain

import pytest

from runtime.wire import messages as wire
from runtime.wire import packing
from runtime.wire.packing import frames


def test_few_messages_are_one_frame_and_none_is_none() -> None:
    messages = [wire.Cancel(1), wire.Script(2, (wire.Append("é"), wire.Mark(3)))]
    assert list(frames(messages)) == [wire.write_frame(messages)]
    assert list(frames([])) == []


def test_many_are_several_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "FRAME_CHARACTERS", 300)
    texts = ["a" * size for size in (10, 100, 1000, 0, 0, 200, 50)]
    messages = [wire.Script(number, (wire.Append(text),)) for number, text in enumerate(texts)]
    packed = list(frames(messages))
    assert list(chain.from_iterable(map(wire.read_from_client, packed))) == messages
    assert 3 <= len(packed) < len(messages)
    assert [len(frame) > 310 for frame in packed].count(True) == 1
