from __future__ import annotations

import pytest

from grammars import GrammarLimit
from grammars.machine.heap import Heap


def test_records_stay_where_they_were_put() -> None:
    heap = Heap(2**20)
    places = [heap.put([number, number + 1]) for number in range(5_000)]
    assert 0 not in places
    assert len(set(places)) == len(places)
    assert all(heap.data[at : at + 2].tolist() == [number, number + 1] for number, at in enumerate(places))
    assert heap.data[heap.reserve(100) :][:100].tolist() == [0] * 100
    assert heap.num_bytes >= 4 * heap.used


def test_an_array_held_on_to_keeps_what_it_had() -> None:
    heap = Heap(2**20)
    at = heap.put([7])
    before = heap.data
    heap.reserve(10_000)
    heap.data[at] = 8
    assert (before[at], heap.data[at]) == (7, 8)


def test_too_many_bytes_are_refused_each_time() -> None:
    heap = Heap(8_192)
    heap.put([1] * 500)
    for _ in range(3):
        with pytest.raises(GrammarLimit, match="8192 bytes"):
            heap.put([1] * 3_000)
    assert heap.num_bytes <= 8_192
