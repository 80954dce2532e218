from __future__ import annotations

from runtime.server.openai.responses.store import Kept, ResponseStore


def test_the_oldest_are_forgotten_where_memory_runs_short() -> None:
    store = ResponseStore(most_bytes=250)
    for name in "abc":
        store.keep(name, Kept({"id": name, "text": "x" * 70}, ({"role": "user"},)))
        assert store.find("a" if name != "c" else "c") is not None  # whoever was asked for stays longer
    assert store.find("b") is None
    assert store.find("a") == Kept({"id": "a", "text": "x" * 70}, ({"role": "user"},))
    store.keep("d", Kept({"text": "x" * 1000}, ()))
    assert [store.find(name) for name in "abcd"] == [None] * 4
    store.keep("e", Kept({}, ()))
    assert store.drop("e")
    assert not store.drop("e")
