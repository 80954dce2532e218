"""A tiny random model in a folder, as an engine in a process of its own needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from runtime.engine import Engine
from runtime.server.remote.remote_engine import RemoteEngine

VOCAB_SIZE = 320
CORPUS = "the theatre there, then the thin thing thinks that yes or no, true or false; 12 + 30 = 42 été 😀"
SETTINGS: dict[str, Any] = {"max_total_tokens": 4096, "attention": "torch", "weight_format": "float32-torch"}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator([CORPUS] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, bos_token_id=0, eos_token_id=1, initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def start(model_folder: Path) -> Iterator[Callable[..., RemoteEngine]]:
    """Starts engines in processes; ends them with the session."""
    engines: list[RemoteEngine] = []

    def begun(**settings: Any) -> RemoteEngine:
        engines.append(RemoteEngine(os.fspath(model_folder), **{**SETTINGS, **settings}))
        return engines[-1]

    yield begun
    for engine in engines:
        engine.shutdown()


@pytest.fixture(scope="session")
def remote(start: Callable[..., RemoteEngine]) -> RemoteEngine:
    """One that all tests share."""
    return start()


@pytest.fixture(scope="session")
def local(model_folder: Path) -> Iterator[Engine]:
    """The same model in this process."""
    with Engine(os.fspath(model_folder), **SETTINGS) as engine:
        yield engine
