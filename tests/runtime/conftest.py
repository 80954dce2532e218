"""A tiny engine: a random two-layer llama and a small byte-level tokenizer, assembled in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from grammars import Spec
from runtime.batch import ForwardBatch
from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.ledger import Owner
from runtime.model.config import ModelConfig
from runtime.model.llama import Llama
from runtime.model.loader import random_model, tiny_config
from runtime.session_table import SessionTable
from runtime.startup import assemble
from runtime.tokenizer import Tokenizer

VOCAB_SIZE = 384
CORPUS = [
    "the theatre there, then the thin thing thinks that those other things are there",
    "the answer is yes or no, true or false; 12 + 30 = 42 and that is all there is to say",
    "été à l'école, où les élèves étudient; café crème 😀 😀 über größe",
]
SPECIAL = ["<unk>", "<s>", "</s>"]


def _backend() -> Backend:
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS * 20, trainer)
    return backend


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    return Tokenizer(_backend(), vocab_size=VOCAB_SIZE, bos_token_id=1, eos_token_ids=(2,))


@pytest.fixture(scope="session")
def bos_tokenizer() -> Tokenizer:
    """As `tiny_tokenizer`, for a model whose texts begin with BOS."""
    return Tokenizer(_backend(), vocab_size=VOCAB_SIZE, bos_token_id=1, adds_bos=True, eos_token_ids=(2,))


@pytest.fixture(scope="session")
def tiny_shape() -> ModelConfig:
    return tiny_config(vocab_size=VOCAB_SIZE, max_position_embeddings=512)


@pytest.fixture(scope="session")
def tiny_model(tiny_shape: ModelConfig) -> Llama:
    return random_model(tiny_shape, seed=3, weight_format="float32")


@pytest.fixture
def make_engine(
    tiny_model: Llama, tiny_shape: ModelConfig, tiny_tokenizer: Tokenizer
) -> Iterator[Callable[..., Engine]]:
    """Makes engines over the tiny model; audits their books after every step and once more at the end."""
    engines: list[Engine] = []

    def make(tokenizer: Tokenizer = tiny_tokenizer, **settings: Any) -> Engine:
        given = {"max_total_tokens": 4096, "attention": "torch", "audit": "step", **settings}
        config = EngineConfig.of(given)
        assembled = assemble(config, tiny_model, tiny_shape, tokenizer, free_bytes=1 << 30, name="tiny", weights="tiny")
        engine = Engine.of(config, assembled)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.shutdown()


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    return make_engine()


@pytest.fixture(scope="session")
def full_logprobs(tiny_model: Llama, tiny_shape: ModelConfig) -> Callable[[list[int]], torch.Tensor]:
    """The oracle: log probabilities [N, V] of one plain forward over a whole sequence in a pool of its own."""
    from runtime.attention.base import KVPool
    from runtime.attention.torch_attention import TorchAttention

    def compute(tokens: list[int]) -> torch.Tensor:
        count = len(tokens)
        shape = tiny_shape
        pool = KVPool(
            num_layers=shape.num_layers,
            num_pages=count + 1,
            page_size=1,
            num_kv_heads=shape.num_kv_heads,
            head_dim=shape.head_dim,
        )
        slots = torch.arange(1, count + 1)
        batch = ForwardBatch(
            token_ids=torch.tensor(tokens),
            positions=torch.arange(count),
            out_slots=slots,
            query_starts=torch.tensor([0, count], dtype=torch.int32),
            context_lens=torch.tensor([count], dtype=torch.int32),
            page_table=slots.to(torch.int32)[None],
            num_decodes=0,
            logit_rows=torch.arange(count),
            page_size=1,
        )
        with torch.inference_mode():
            return tiny_model.forward(batch, pool, TorchAttention()).log_softmax(dim=1)

    return compute


@pytest.fixture(scope="session")
def settled() -> Callable[[Engine], dict[str, int]]:
    """Waits until an engine has nothing to do, then returns its ledger, audited in the engine's own thread."""
    from runtime.handle import Handle

    def wait(engine: Engine) -> dict[str, int]:
        core = engine._core
        for _ in range(2):  # what the first round set off is worked off before the second
            done: Handle[dict[str, int]] = Handle()
            core.post(lambda done=done: done.finish(_audited(core.sessions, engine)))
            table = done.result(timeout=20)
        return table

    return wait


def _audited(sessions: SessionTable, engine: Engine) -> dict[str, int]:
    sessions.audit()
    table: dict[str, int] = engine._core.cache.pool.ledger.table()
    return table


@pytest.fixture(scope="session")
def assert_nothing_held(settled: Callable[[Engine], dict[str, int]]) -> Callable[[Engine], None]:
    """No session is left, no page is held, and everything cached can be evicted."""

    def check(engine: Engine) -> None:
        table = settled(engine)
        core = engine._core
        assert len(core.sessions) == 0
        assert not core._stepper._jobs
        assert not core.scheduler.running
        assert not core.scheduler.waiting
        assert {Owner.REQUEST.name.lower(): table["request"], Owner.SESSION.name.lower(): table["session"]} == {
            "request": 0,
            "session": 0,
        }
        assert core.cache.tree.num_protected == 0
        assert table["free"] + table["tree"] == table["total"]

    return check


class TokenTree:
    """A grammar over tokens: the text is one of some token sequences. Forces whatever has no alternative."""

    warnings: tuple[str, ...] = ()

    def __init__(self, sequences: Iterable[Sequence[int]], ends: Sequence[int]) -> None:
        self.ends = tuple(ends)
        self.children: dict[tuple[int, ...], set[int]] = {}
        self.whole = {tuple(sequence) for sequence in sequences}
        for sequence in self.whole:
            for place, token in enumerate(sequence):
                self.children.setdefault(sequence[:place], set()).add(token)

    def matcher(self) -> TreeMatcher:
        return TreeMatcher(self)


class TreeMatcher:
    """Follows one text through a `TokenTree`."""

    def __init__(self, tree: TokenTree, path: tuple[int, ...] = ()) -> None:
        self.tree, self.path = tree, path

    def allowed(self, path: tuple[int, ...]) -> set[int]:
        return self.tree.children.get(path, set()) | (set(self.tree.ends) if path in self.tree.whole else set())

    def mask_into(self, row: np.ndarray[Any, Any]) -> None:
        bits = np.zeros(32 * len(row), dtype=np.uint8)
        bits[sorted(self.allowed(self.path))] = 1
        row[:] = np.packbits(bits, bitorder="little").view(np.int32)

    def accept(self, token: int) -> bool:
        if token not in self.allowed(self.path):
            return False
        self.path = (*self.path, token)
        return True

    def forced(self) -> list[int]:
        path = self.path
        while len(only := self.allowed(path)) == 1 and not only & set(self.tree.ends):
            path = (*path, *only)
        return list(path[len(self.path) :])

    def rollback(self, num_tokens: int) -> None:
        if not 0 <= num_tokens <= len(self.path):
            raise ValueError("num_tokens")
        self.path = self.path[: len(self.path) - num_tokens]

    def fork(self) -> TreeMatcher:
        return TreeMatcher(self.tree, self.path)

    def is_complete(self) -> bool:
        return self.path in self.tree.whole

    def is_exhausted(self) -> bool:
        return self.path in self.tree.whole and not self.tree.children.get(self.path)


@pytest.fixture(scope="session")
def token_tree() -> Callable[..., TokenTree]:
    return TokenTree


@pytest.fixture(scope="session")
def give_grammar() -> Callable[[Engine, Spec, Any], None]:
    """Has an engine take a given grammar for what a spec compiles to."""

    def give(engine: Engine, spec: Spec, grammar: Any) -> None:
        compiler = engine._core._compilation._compiler
        real = compiler.compile
        compiler.compile = lambda asked, is_cancelled=None: grammar if asked == spec else real(asked)  # type: ignore[method-assign]

    return give
