"""Start-up: from settings to everything an engine needs, said aloud."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from grammars.compiler import GrammarCompiler
from runtime.attention import registry
from runtime.attention.base import KV_DTYPES, KVPool
from runtime.chat_formats import configured_template
from runtime.chat_template import ChatTemplate
from runtime.config import EngineConfig
from runtime.core import EngineCore
from runtime.errors import ConfigError
from runtime.forks import allow_forks
from runtime.memory import budget as budgets
from runtime.model.config import ModelConfig
from runtime.model.hub import ModelFiles, cache_folder, resolve
from runtime.model.identity import kv_identity, weights_identity
from runtime.model.llama import Llama
from runtime.model.loader import load_model
from runtime.runner import ModelRunner
from runtime.tokenizer import Tokenizer

__all__ = ["Assembled", "assemble", "start"]

log = logging.getLogger("sgdsl.engine")


@dataclass(frozen=True, slots=True)
class Assembled:
    """A model ready to serve, and what is known about it."""

    core: EngineCore
    tokenizer: Tokenizer
    chat_template: ChatTemplate | None
    runner: ModelRunner
    model_name: str


def start(config: EngineConfig) -> Assembled:
    """Finds, loads and warms up the model that `config` names.

    Raises:
        ModelLoadError, ConfigError: it cannot be had, or the settings contradict each other.
    """
    files: ModelFiles = resolve(config.model.model)
    shape = ModelConfig.load(files)
    tokenizer = Tokenizer.load(files, vocab_size=shape.vocab_size)
    configured_template(config.model, tokenizer)  # what is wrong with it is said before seconds are spent on weights
    free = free_memory()
    model = load_model(files, shape, weight_format=config.model.weight_format)
    tables = cache_folder() / "grammars"
    weights = "" if config.memory.disk_cache_dir is None else weights_identity(files)
    return assemble(
        config, model, shape, tokenizer, free_bytes=free, name=files.name, cache_dir=tables, weights=weights
    )


def assemble(
    config: EngineConfig,
    model: Llama,
    shape: ModelConfig,
    tokenizer: Tokenizer,
    *,
    free_bytes: int,
    name: str,
    cache_dir: Path | None = None,
    weights: str = "",
) -> Assembled:
    """Builds pool, runner and core around a loaded model.

    Args:
        free_bytes: memory that was free before the weights were loaded.
        cache_dir: where tables of the vocabulary are kept between processes; None keeps them nowhere.
        weights: what tells these weights from all others; needed where KV is kept on disk.

    Raises:
        ConfigError: the settings contradict each other.
    """
    allow_forks()
    if config.memory.disk_cache_dir is not None and not weights:
        raise ConfigError("disk_cache_dir is given, but nothing that tells these weights from others: give `weights`")
    dtype = KV_DTYPES[config.memory.kv_dtype]
    bytes_per_token = KVPool.bytes_per_token(shape.num_layers, shape.num_kv_heads, shape.head_dim, dtype)
    budget = budgets.derive(
        config.memory,
        config.scheduler,
        model_context=shape.max_position_embeddings,
        bytes_per_token=bytes_per_token,
        free_bytes=free_bytes,
        weight_bytes=max(0, free_bytes - free_memory()),
        given=config.given,
    )
    pool = KVPool(
        num_layers=shape.num_layers,
        num_pages=budget.num_pages + 1,
        page_size=budget.page_size,
        num_kv_heads=shape.num_kv_heads,
        head_dim=shape.head_dim,
        dtype=dtype,
    )
    attention = registry.create(config.model.attention, shape, budget.page_size)
    runner = ModelRunner(model, pool, attention)
    runner.warm_up()
    described = ", ".join(f"{key} {value}" for key, value in runner.describe().items())
    log.info("%s: %s", name, described)
    for line in budget.lines():
        log.info("%s", line)
    compiler = GrammarCompiler(tokenizer.vocabulary, engine=config.grammar.grammar_engine, cache_dir=cache_dir)
    compiler.warm()
    identity = kv_identity(weights, shape, tokenizer.token_bytes, pool, runner.describe())
    core = EngineCore(config, budget, runner, tokenizer, compiler, identity)
    return Assembled(core, tokenizer, configured_template(config.model, tokenizer), runner, name)


def free_memory() -> int:
    """Bytes that can be had without pushing anything out."""
    import psutil

    return int(psutil.virtual_memory().available)
