"""Remembered texts: the same ids, found without the tokenizer, within their bounds, from many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from runtime.constant_texts import ConstantTexts
from runtime.engine import Engine
from runtime.tokenizer import Tokenizer

TEXTS = ["the answer is ", "été à l'école", "12 + 30 = 42", "<s>there"]


class Counting:
    """A tokenizer that counts what it is asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.encoded: list[str] = []
        self.begun = tokenizer.begun
        self._tokenizer = tokenizer

    def encode(self, text: str, *, add_bos: bool = False) -> list[int]:
        self.encoded.append(text)
        return self._tokenizer.encode(text, add_bos=add_bos)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        self.encoded.extend(texts)
        return self._tokenizer.encode_batch(texts)


@pytest.fixture
def counting(bos_tokenizer: Tokenizer) -> Any:
    return Counting(bos_tokenizer)


@pytest.mark.parametrize("add_bos", [False, True])
def test_the_ids_are_the_tokenizers_and_are_found_once(counting: Any, bos_tokenizer: Tokenizer, add_bos: bool) -> None:
    texts = ConstantTexts(counting)
    texts.remember([*TEXTS, TEXTS[0], ""])
    texts.remember(TEXTS)
    assert counting.encoded == TEXTS
    for text in TEXTS:
        assert list(texts.encode(text, add_bos=add_bos)) == bos_tokenizer.encode(text, add_bos=add_bos)
    assert counting.encoded == TEXTS
    assert list(texts.encode("then", add_bos=add_bos)) == bos_tokenizer.encode("then", add_bos=add_bos)
    assert counting.encoded == [*TEXTS, "then"]  # only what it was told of is remembered


def test_the_bound_is_kept_by_forgetting_what_was_not_asked_for_longest(counting: Any) -> None:
    words = ["the", "then", "the thin thing"]
    all_of_them = ConstantTexts(counting)
    all_of_them.remember(words)
    texts = ConstantTexts(counting, most_bytes=all_of_them.num_bytes - 1)
    texts.remember(words[:2])
    texts.encode("the")
    texts.remember(words[2:])
    assert 0 < texts.num_bytes < all_of_them.num_bytes
    counting.encoded.clear()
    for word in words:
        texts.encode(word)
    assert counting.encoded == ["then"]
    before = texts.num_bytes
    texts.remember(["the" * 1000])  # too large to be kept
    assert texts.num_bytes == before


def test_many_threads_find_the_same(tiny_tokenizer: Tokenizer) -> None:
    texts = ConstantTexts(tiny_tokenizer, most_bytes=2000)
    words = [f"the thing {i}" for i in range(20)]
    wanted = {word: tiny_tokenizer.encode(word) for word in words}
    wrong: list[str] = []

    def work(seed: int) -> None:
        for i in range(100):
            word = words[(seed + i) % len(words)]
            texts.remember([word])
            if list(texts.encode(word)) != wanted[word]:
                wrong.append(word)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert texts.num_bytes <= 2000


def test_a_session_appends_remembered_texts_as_any_other(
    make_engine: Callable[..., Engine], bos_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(tokenizer=bos_tokenizer)

    def appended() -> list[tuple[int, str]]:
        with engine.open() as session:
            session.append(TEXTS[0])
            session.append(TEXTS[1])
            return session.tokens().result(timeout=20)

    before = appended()
    engine.remember(TEXTS)
    monkeypatch.setattr(type(bos_tokenizer), "encode", lambda *_, **__: pytest.fail("tokenized again"))
    assert appended() == before
    assert before[0][0] == bos_tokenizer.bos_token_id
