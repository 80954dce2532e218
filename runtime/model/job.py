"""What a team is told that multiplies with a matrix, or computes a whole step."""

from __future__ import annotations

import numpy as np

from runtime.attention.job import ATTENTION_JOB
from runtime.parallel.job import job_type

__all__ = [
    "LAYER",
    "MATRIX",
    "NORM_JOB",
    "PHASES",
    "PHASES_PER_LAYER",
    "PLACE_JOB",
    "PRODUCT_JOB",
    "STEP_JOB",
    "SWIGLU_JOB",
]

PRODUCT_JOB = job_type(["kernel", "packing", "x", "w", "out", "rows", "inner", "panels", "add", "packed", "scratch"])
"""A panel kernel and its arguments (see `runtime.model.product_kernels`); how rows are packed, and where to."""

NORM_JOB = job_type(["x", "weight", "out", "rows", "length"], ["eps"])
"""Addresses of float32 [rows, length], [length] and [rows, length]."""

SWIGLU_JOB = job_type(["gate_up", "stride", "out", "rows", "length"])
"""Gate and up, [length] each, side by side in rows that begin `stride` floats apart; [rows, length] to write."""

PLACE_JOB = job_type(
    ["heads", "stride", "cos", "sin", "slots", "keys", "values", "rows", "num_heads", "num_kv_heads", "dim"]
)
"""Addresses of float32 [rows, num_heads + 2 * num_kv_heads, dim] with rows `stride` floats apart, of [rows, dim / 2]
twice, of int64 [rows], and of a layer's keys and values, [slots, num_kv_heads, dim]."""

MATRIX = job_type(["kernel", "w", "inner", "panels", "width", "packing", "bias"])
"""What of a product is the matrix's; `bias` is the address of float32 [outputs], or 0."""

LAYER = np.dtype(
    [
        ("attention_norm", np.int64),  # addresses of float32 [hidden_size]
        ("mlp_norm", np.int64),
        ("qkv", MATRIX),
        ("output", MATRIX),
        ("gate_up", MATRIX),
        ("down", MATRIX),
    ],
    align=True,
)
"""One decoder layer."""

STEP_JOB = np.dtype(
    [
        (name, np.int64)
        for name in (
            "rows",  # T
            "num_outputs",  # R
            "chosen",  # int64 [R]: rows whose logits are wanted
            "positions",  # int64 [T]
            "slots",  # int64 [T]
            "hidden",  # float32 [T, hidden_size]
            "lookup",  # C function that gives rows of the head; 0 where `hidden` holds embeddings at first
            "tokens",  # int64 [T]
            "chosen_hidden",  # [R, hidden_size]
            "heads",  # [T, panels * width of qkv]
            "attended",  # [T, num_heads * dim]
            "chosen_attended",  # [R, num_heads * dim]
            "gated",  # [T, panels * width of gate_up]
            "normed",  # [T, the longest row that a matrix takes]
            "packed",  # bytes, as many as such rows take
            "logits",  # [R, panels * width of the head]
            "scratch",  # what panel kernels write on
            "cos",  # float32 [positions, dim / 2]
            "sin",
            "keys",  # of layer 0, float32 [slots, num_kv_heads, dim]; the next layer's begin layer_bytes further on
            "values",
            "layer_bytes",
            "layers",  # [num_layers] of LAYER
            "num_layers",
            "times",  # int64 [phases + 1]: when each was over, by the processor's clock; 0: nobody asks
            "norm",  # float32 [hidden_size]
            "hidden_size",
            "intermediate_size",
            "num_heads",
            "num_kv_heads",
            "dim",
        )
    ]
    + [("head", MATRIX), ("attention", ATTENTION_JOB), ("eps", np.float32)],
    align=True,
)
"""One step over a packed batch of T tokens. Everything but counts and eps is an address."""

PHASES = ("norm", "qkv", "place", "attention", "choose", "pack", "output", "norm", "gate_up", "activate", "down")
PHASES_PER_LAYER = len(PHASES)
"""Of a step; `embed` comes before those of the first layer, `norm` and `head` after the last."""
