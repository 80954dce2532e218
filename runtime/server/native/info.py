"""Info: `/server_info` and `/model_info`: what runs, with what settings, and why."""

from __future__ import annotations

import os
import time
from typing import Any

from aiohttp import web

from runtime.server.bodies import answer
from runtime.server.keys import CONFIG, ENGINE, RUNNING, UP_SINCE, model_name
from runtime.server.sessions.keys import HELD, PEERS

__all__ = ["model_info", "server_info"]


async def server_info(request: web.Request) -> web.Response:
    """What runs, every setting as asked, became and why, the ledger, and counters."""
    app = request.app
    found: dict[str, Any] = await app[ENGINE].server_info()
    settings = found.get("settings", {})
    total = settings.get("max_total_tokens", {}).get("became")
    config = app[CONFIG]
    own = {
        "served_model_name": model_name(app),
        "pid": os.getpid(),
        "uptime_seconds": round(time.monotonic() - app[UP_SINCE], 3),
        "requests_in_work": len(app[RUNNING]),
        "connections": len(app[PEERS]),
        "sessions": sum(len(peer.sessions) for peer in app[PEERS]) + len(app[HELD]),
        "max_requests": config.max_requests,
        "max_body_bytes": config.max_body_bytes,
        "max_total_num_tokens": total,
        "ledger": found.get("stats", {}).get("ledger"),
    }
    return answer({**own, **found})


async def model_info(request: web.Request) -> web.Response:
    """The model, and how long its sequences can be."""
    app = request.app
    engine = app[ENGINE]
    tokenizer = engine.tokenizer
    return answer(
        {
            "model_path": engine.model_name,
            "served_model_name": model_name(app),
            "is_generation": True,
            "context_length": engine.context_length,
            "vocab_size": tokenizer.vocab_size,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_ids": list(tokenizer.eos_token_ids),
            "has_chat_template": engine.chat_template is not None,
        }
    )
