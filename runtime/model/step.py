"""Step: a whole forward pass as one function of a team of threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from runtime.attention.base import AttentionBackend, KVPool
from runtime.attention.job import ATTENTION_JOB
from runtime.batch import ForwardBatch
from runtime.model.config import ModelConfig
from runtime.model.job import LAYER, PHASES, PHASES_PER_LAYER, STEP_JOB
from runtime.model.layer import LlamaLayer
from runtime.model.layers import Rotary
from runtime.model.linear import Linear
from runtime.model.product import Product
from runtime.parallel.team import team_of

__all__ = ["Step"]

_LOG = logging.getLogger(__name__)

_AT: Mapping[str, int] = MappingProxyType(
    {name: offset // 8 for name, (_, offset, *_) in (STEP_JOB.fields or {}).items()}
)
"""Where a field is among a job's 64-bit words: written there, it takes a fraction of the time it takes by its name."""
_ATTENTION_WORDS = ATTENTION_JOB.itemsize // 8


class Step:
    """Computes what `Llama` computes kernel by kernel, with the same bits, without coming back to Python in between.

    Args:
        config: shape and constants.
        layers: from first to last; all their matrices are in panels.
        norm: float32 [hidden_size], before the head.
        head: hidden_size to vocab_size, in panels.
        rotary: angles of the positions.
        is_tied: whether embeddings are rows of the head.

    Raises:
        Exception: whatever numba raises where the kernel does not compile.

    Attributes:
        embeds: whether it looks the tokens' embeddings up itself.
    """

    def __init__(
        self,
        config: ModelConfig,
        layers: Sequence[LlamaLayer],
        norm: torch.Tensor,
        head: Product,
        rotary: Rotary,
        is_tied: bool,
    ) -> None:
        self._function = _kernel()
        self._config, self._rotary = config, rotary
        self._kept = (layers, norm, head)
        self._layers = np.zeros(len(layers), dtype=LAYER)
        self._job = np.zeros(1, dtype=STEP_JOB)
        for layer, own in zip(layers, self._layers, strict=True):
            own["attention_norm"], own["mlp_norm"] = layer.attention_norm.data_ptr(), layer.mlp_norm.data_ptr()
            for name in ("qkv", "output", "gate_up", "down"):
                linear = getattr(layer, name)
                linear.product.describe(own[name], linear.bias)
        self._products = [head, *(product for layer in layers for product in _products(layer))]
        job = self._job
        head.describe(job["head"][0], None)
        job["layers"], job["num_layers"] = self._layers.ctypes.data, len(layers)
        job["norm"], job["eps"] = norm.data_ptr(), config.rms_norm_eps
        for name in ("hidden_size", "intermediate_size", "num_heads", "num_kv_heads"):
            job[name] = getattr(config, name)
        job["dim"] = config.head_dim
        self.embeds = is_tied and head.kernel.lookup is not None
        job["lookup"] = head.kernel.lookup.address if self.embeds else 0
        self._heads_width = _width(layers[0], "qkv")
        self._head = head
        self._rooms = _rooms(config, layers, self._products)
        self._words = job.view(np.int64)
        self._buffers: dict[str, np.ndarray[Any, Any]] = {}
        self._reserved = dict.fromkeys(self._rooms, 0)

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        layers: Sequence[LlamaLayer],
        norm: torch.Tensor,
        head: Linear,
        rotary: Rotary,
        is_tied: bool,
    ) -> Step | None:
        """A step of these parts; None, logged, where they are of another kind, or its kernel does not compile."""
        reason = _obstacle(config, layers, head)
        if not reason and head.product is not None:
            try:
                return cls(config, layers, norm, head.product, rotary, is_tied)
            except Exception as error:
                reason = f"its kernel does not compile ({error})"
        _LOG.info("a step is computed kernel by kernel, not as one: %s", reason)
        return None

    def run(
        self, hidden: torch.Tensor | None, batch: ForwardBatch, pool: KVPool, attention: AttentionBackend
    ) -> torch.Tensor | None:
        """Runs a batch that `attention` is prepared for, writing its keys and values into the pool.

        Args:
            hidden: float32 [T, hidden_size], the tokens' embeddings, written over; None where the step `embeds`.

        Returns:
            float32 [R, vocab_size], the logits of `batch.logit_rows`; None where `attention` is not of that kind.
        """
        words, at, config = self._words, _AT, self._config
        rows, outputs, threads = batch.num_tokens, len(batch.logit_rows), torch.get_num_threads()
        for of, count in (("row", rows), ("output", outputs), ("thread", threads)):
            if count > self._reserved[of]:
                self._reserve(of, count)
        attending = attention.job_on(pool, int(words[at["heads"]]), self._heads_width, int(words[at["attended"]]))
        if attending is None:
            return None
        first = at["attention"]
        words[first : first + _ATTENTION_WORDS] = attending.view(np.int64)
        cos, sin = self._rotary.tables(batch.positions)
        if hidden is None:
            hidden = torch.empty(rows, config.hidden_size)
        logits = torch.empty(outputs, self._head.width)
        words[at["rows"]], words[at["num_outputs"]] = rows, outputs
        words[at["chosen"]], words[at["positions"]] = batch.logit_rows.data_ptr(), batch.positions.data_ptr()
        words[at["tokens"]], words[at["slots"]] = batch.token_ids.data_ptr(), batch.out_slots.data_ptr()
        words[at["hidden"]], words[at["logits"]] = hidden.data_ptr(), logits.data_ptr()
        words[at["cos"]], words[at["sin"]] = cos.data_ptr(), sin.data_ptr()
        words[at["keys"]], words[at["values"]] = pool.keys.data_ptr(), pool.values.data_ptr()
        words[at["layer_bytes"]] = pool.layer_bytes
        team_of(threads).run(self._function.address, self._job, PHASES_PER_LAYER * config.num_layers + 3)
        return logits[:, : config.vocab_size]

    def profile(self, run: Callable[[], object]) -> dict[str, float]:
        """Has `run` run a batch through this step, and tells which share of its time each kind of phase took.

        Raises:
            ValueError: `run` ran nothing.
        """
        times = np.zeros(PHASES_PER_LAYER * self._config.num_layers + 3, dtype=np.int64)
        self._job["times"] = times.ctypes.data
        try:
            run()
        finally:
            self._job["times"] = 0
        if not times.all():
            raise ValueError("no whole step was run")
        shares: dict[str, float] = {}
        names = [*(PHASES * self._config.num_layers), "norm", "head"]
        for name, spent in zip(names, np.diff(times) / (times[-1] - times[0]), strict=True):
            shares[name] = shares.get(name, 0.0) + float(spent)
        return shares

    def _reserve(self, of: str, count: int) -> None:
        """Sees to it that the buffers of rows, outputs or threads have room for so many."""
        self._reserved[of] = count
        for name, floats in self._rooms[of].items():
            kept = self._buffers[name] = np.empty(count * floats, dtype=np.float32)
            self._words[_AT[name]] = kept.ctypes.data


def _obstacle(config: ModelConfig, layers: Sequence[LlamaLayer], head: Linear) -> str:
    """What keeps a model of these parts from being computed as one."""
    linears = [head, *(linear for layer in layers for linear in (layer.qkv, layer.output, layer.gate_up, layer.down))]
    if any(linear.product is None for linear in linears):
        return "its matrices are not in panels"
    if head.bias is not None:
        return "its head has a bias"
    added = [product for layer in layers for product in (layer.output.product, layer.down.product)]
    if any(product is None or product.width != config.hidden_size for product in added):
        return f"panels do not divide hidden_size={config.hidden_size}"
    return ""


def _products(layer: LlamaLayer) -> Iterator[Product]:
    for linear in (layer.qkv, layer.output, layer.gate_up, layer.down):
        if linear.product is not None:
            yield linear.product


def _rooms(config: ModelConfig, layers: Sequence[LlamaLayer], products: Sequence[Product]) -> dict[str, dict[str, int]]:
    """Buffers, and floats in each, for a row, for a row whose logits are wanted, and for a thread."""
    width = config.num_heads * config.head_dim
    packed = max(product.inner * product.kernel.row_block for product in products)
    row = {
        "heads": _width(layers[0], "qkv"),
        "attended": width,
        "gated": _width(layers[0], "gate_up"),
        "normed": max(config.hidden_size, config.intermediate_size, width),
        "packed": -(-packed // np.dtype(np.float32).itemsize),
    }
    output = {"chosen_hidden": config.hidden_size, "chosen_attended": width}
    return {"row": row, "output": output, "thread": {"scratch": max(product.kernel.scratch for product in products)}}


def _width(layer: LlamaLayer, name: str) -> int:
    product: Product = getattr(layer, name).product
    return product.width


@cache
def _kernel() -> Any:
    from runtime.model.step_kernels import compile_step

    return compile_step()
