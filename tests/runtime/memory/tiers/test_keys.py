"""Keys of pages: the same for the same beginning, and for nothing else."""

from __future__ import annotations

from runtime.memory.node import pack
from runtime.memory.tiers.keys import fingerprint, page_keys

MODEL = fingerprint("weights", "shape")


def keys(tokens: list[int], page_size: int = 2, namespace: str = "", model: bytes = MODEL) -> list[bytes]:
    return list(page_keys(pack(tokens), page_size, namespace, model))


def test_a_key_stands_for_everything_up_to_the_page() -> None:
    one, other = keys([1, 2, 3, 4, 5, 6, 7]), keys([1, 2, 9, 4, 5, 6])
    assert len(one) == 3
    assert one[0] == other[0]
    assert set(one[1:]).isdisjoint(other[1:])
    assert len(set(one)) == 3


def test_namespace_page_size_and_model_make_other_keys() -> None:
    tokens = [1, 1, 1, 1]
    sets = [keys(tokens), keys(tokens, 1), keys(tokens, namespace="x"), keys(tokens, model=fingerprint("weights"))]
    assert len({key for own in sets for key in own}) == sum(map(len, sets))


def test_parts_of_a_fingerprint_do_not_run_together() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_a_graft_ends_the_keys() -> None:
    assert keys([1, 2, 3, -4, 5, 6]) == keys([1, 2])
