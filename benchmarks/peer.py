"""The peer's side: `transformers.generate` in float32 on the same weights, greedy, static batches."""

from __future__ import annotations

import time
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from runtime.model.config import ModelConfig
from runtime.model.hub import resolve
from runtime.model.weights import iter_weights


class Peer:
    """A `transformers` Llama with the weights of one of our models."""

    def __init__(self, name: str) -> None:
        files = resolve(name)
        shape = ModelConfig.load(files)
        config = LlamaConfig(
            vocab_size=shape.vocab_size,
            hidden_size=shape.hidden_size,
            intermediate_size=shape.intermediate_size,
            num_hidden_layers=shape.num_layers,
            num_attention_heads=shape.num_heads,
            num_key_value_heads=shape.num_kv_heads,
            head_dim=shape.head_dim,
            rms_norm_eps=shape.rms_norm_eps,
            rope_theta=shape.rope_theta,
            max_position_embeddings=shape.max_position_embeddings,
            tie_word_embeddings=shape.tie_word_embeddings,
        )
        self.model = LlamaForCausalLM(config).eval()
        self.model.load_state_dict(dict(iter_weights(files, shape)), strict=False)
        self.model.tie_weights()

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], new_tokens: int) -> tuple[float, list[list[int]]]:
        """Seconds for one batch of equally long prompts, and its new tokens; end tokens do not stop it."""
        ids = torch.tensor(prompts)
        options: dict[str, Any] = {"do_sample": False, "min_new_tokens": new_tokens, "max_new_tokens": new_tokens}
        start = time.perf_counter()
        out = self.model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **options)
        return time.perf_counter() - start, out[:, ids.shape[1] :].tolist()
