"""A module named `sglang` for Xinference and other hosts that launch SGLang: put it on their path as `sglang.py`.

They call `sglang.Runtime(model_path=…, tokenizer_path=…, port=…, **settings)` and use `.generate_url`, `.pid`,
`.shutdown()` and `.get_tokenizer()` of it. Settings that ask for nothing here are dropped; all others reach the engine.
"""

from typing import Any

import sgdsl

NEUTRAL: dict[str, Any] = {
    "attention_reduce_in_fp32": False, "dist_init_addr": None, "dtype": "auto", "nnodes": 1, "node_rank": 0,
    "nccl_port": 0, "quantization": None, "reasoning_content": False, "tokenizer_mode": "auto", "tp_size": 1,
}  # fmt: skip


def Runtime(model_path: str, **settings: Any) -> sgdsl.Runtime:
    """Starts a server; refuses a setting that would need what this runtime does not have."""
    settings.pop("trust_remote_code", None)  # no model's own code is ever run
    for name, value in NEUTRAL.items():
        if settings.get(name, value) == value:
            settings.pop(name, None)
    return sgdsl.Runtime(model_path, **settings)
