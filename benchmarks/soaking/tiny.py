"""A tiny engine for the soak: a random two-layer llama and a byte-level tokenizer, assembled in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.model.loader import random_model, tiny_config
from runtime.startup import assemble
from runtime.tokenizer import Tokenizer

__all__ = ["CONTEXT_LENGTH", "WORDS", "TinyModel"]

VOCAB_SIZE = 384
CONTEXT_LENGTH = 512
WORDS = (
    "the theatre there, then the thin thing thinks that those other things are there",
    "the answer is yes or no, true or false; 12 + 30 = 42 and that is all there is to say",
    "été à l'école, où les élèves étudient; café crème 😀 😀 über größe",
)
"""What the vocabulary is made of, and the programs' texts are."""


class TinyModel:
    """Weights and tokenizer that all engines of one process share."""

    def __init__(self) -> None:
        self._shape = tiny_config(vocab_size=VOCAB_SIZE, max_position_embeddings=CONTEXT_LENGTH)
        self._model = random_model(self._shape, seed=3, weight_format="float32")
        self._tokenizer = Tokenizer(_backend(), vocab_size=VOCAB_SIZE, bos_token_id=1, eos_token_ids=(2,))

    def engine(self, settings: Mapping[str, Any]) -> Engine:
        """An engine of these settings."""
        config = EngineConfig.of({"attention": "auto", **settings})
        assembled = assemble(
            config, self._model, self._shape, self._tokenizer, free_bytes=1 << 30, name="tiny", weights="soak"
        )
        return Engine.of(config, assembled)


def _backend() -> Backend:
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(list(WORDS) * 20, trainer)
    return backend
