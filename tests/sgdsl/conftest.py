from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sgdsl as sg

CORPUS = "the theatre there, then the thin thing; the is yes or no, and one two three <|im_start|>user <|im_end|>"


@pytest.fixture
def mock() -> sg.Mock:
    return sg.Mock()


@pytest.fixture(autouse=True)
def _no_default_backend() -> Iterator[None]:
    sg.set_default_backend(None)
    yield
    sg.set_default_backend(None)


class Gate:
    """A script that holds every call back until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()

    def __call__(self, prompt: str, params: object) -> str:
        self.reached.set()
        assert self.opened.wait(10)
        return "late"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture(scope="session")
def settles() -> Callable[..., bool]:
    """Whether something becomes so within a few seconds."""

    def check(condition: Callable[[], bool], seconds: float = 10) -> bool:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        return condition()

    return check


@pytest.fixture(scope="session")
def is_idle() -> Callable[[Any], bool]:
    """Whether an engine has no session and runs no request."""

    def check(engine: Any) -> bool:
        ledger = engine.stats()["ledger"]
        return bool(ledger["session"] == 0 and ledger["request"] == 0)

    return check


@pytest.fixture(scope="session")
def start_tiny_engine() -> Callable[[], Any]:
    """Starts a random two-layer llama behind a small byte-level tokenizer that merges across words' edges."""
    from tokenizers import Tokenizer as Merges
    from tokenizers import decoders, models, pre_tokenizers, trainers

    from runtime.config import EngineConfig
    from runtime.engine import Engine
    from runtime.model.loader import random_model, tiny_config
    from runtime.startup import assemble
    from runtime.tokenizer import Tokenizer

    merges = Merges(models.BPE())
    merges.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    merges.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=sorted(alphabet), show_progress=False
    )  # fmt: skip
    merges.train_from_iterator([CORPUS] * 20, trainer)
    tokenizer = Tokenizer(merges, vocab_size=320, bos_token_id=0, eos_token_ids=(1,))
    shape = tiny_config(vocab_size=320, max_position_embeddings=2048)
    config = EngineConfig.of({"max_total_tokens": 8192, "attention": "torch"})
    model = random_model(shape, seed=3, weight_format="float32")
    return lambda: Engine.of(config, assemble(config, model, shape, tokenizer, free_bytes=1 << 30, name="tiny"))


@pytest.fixture(scope="session")
def tiny_engine(start_tiny_engine: Callable[[], Any]) -> Iterator[Any]:
    """One that all tests share."""
    engine = start_tiny_engine()
    yield engine
    engine.shutdown()
