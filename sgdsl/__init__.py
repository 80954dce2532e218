"""sgdsl: a language for programs that call a language model many times."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any


def _refuse_shadows() -> None:
    """A user's own `runtime.py` or `grammars.py` beside a program would be imported in place of ours."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for name in ("runtime", "grammars"):
        found = importlib.util.find_spec(name)
        origin = found.origin if found is not None else None
        if origin is None or os.path.realpath(os.path.dirname(os.path.dirname(origin))) != os.path.realpath(home):
            where = origin or (list(found.submodule_search_locations or ()) if found is not None else "nowhere")
            raise ImportError(
                f"sgdsl needs its own package {name!r} beside {home}, but {where} is in the way: rename that file"
            )


_refuse_shadows()

from sgdsl.account import usage  # noqa: E402
from sgdsl.backends.base import Backend, BackendSession, Capabilities  # noqa: E402
from sgdsl.backends.mock import Mock, MockCall  # noqa: E402
from sgdsl.choices import (  # noqa: E402
    ChoicesMethod,
    constrained_greedy,
    greedy_token_selection,
    joint_likelihood,
    token_length_normalized,
    unconditional_likelihood_normalized,
)
from sgdsl.compatibility import flush_cache, get_server_info, video  # noqa: E402
from sgdsl.errors import (  # noqa: E402
    BackendCapabilityError,
    BatchInterrupted,
    CheckFailed,
    EndpointError,
    InvalidArgument,
    NotSupported,
    ProgramCancelled,
    ProgramEnded,
    ProgramError,
    ProgramTimeout,
    SgdslError,
    TraceError,
    WouldBlock,
)
from sgdsl.group import ProgramStateGroup  # noqa: E402
from sgdsl.images import image  # noqa: E402
from sgdsl.ir import Graph  # noqa: E402
from sgdsl.primitives import Expr, gen, gen_bool, gen_float, gen_int, gen_string, select  # noqa: E402
from sgdsl.process import set_default_backend  # noqa: E402
from sgdsl.program import Program, function  # noqa: E402
from sgdsl.record import Recorder  # noqa: E402
from sgdsl.roles import (  # noqa: E402
    assistant,
    assistant_begin,
    assistant_end,
    system,
    system_begin,
    system_end,
    user,
    user_begin,
    user_end,
)
from sgdsl.separation import separate_reasoning  # noqa: E402
from sgdsl.state import Checkpoint, ProgramState  # noqa: E402
from sgdsl.usage import Usage  # noqa: E402

if TYPE_CHECKING:
    from runtime.engine import Engine
    from sgdsl.backends.anthropic import Anthropic
    from sgdsl.backends.cached import Cached
    from sgdsl.backends.endpoint import RuntimeEndpoint
    from sgdsl.backends.litellm import LiteLLM
    from sgdsl.backends.openai import OpenAI
    from sgdsl.backends.router import Router
    from sgdsl.compiled import CompiledProgram
    from sgdsl.server_process import Runtime

_LAZY: Mapping[str, str] = MappingProxyType(
    {
        "Anthropic": "sgdsl.backends.anthropic",
        "Cached": "sgdsl.backends.cached",
        "CompiledProgram": "sgdsl.compiled",
        "Engine": "runtime.engine",
        "LiteLLM": "sgdsl.backends.litellm",
        "OpenAI": "sgdsl.backends.openai",
        "Router": "sgdsl.backends.router",
        "Runtime": "sgdsl.server_process",
        "RuntimeEndpoint": "sgdsl.backends.endpoint",
    }
)

__all__ = [
    "Anthropic",
    "Backend",
    "BackendCapabilityError",
    "BackendSession",
    "BatchInterrupted",
    "Cached",
    "Capabilities",
    "CheckFailed",
    "Checkpoint",
    "ChoicesMethod",
    "CompiledProgram",
    "EndpointError",
    "Engine",
    "Expr",
    "Graph",
    "InvalidArgument",
    "LiteLLM",
    "Mock",
    "MockCall",
    "NotSupported",
    "OpenAI",
    "Program",
    "ProgramCancelled",
    "ProgramEnded",
    "ProgramError",
    "ProgramState",
    "ProgramStateGroup",
    "ProgramTimeout",
    "Recorder",
    "Router",
    "Runtime",
    "RuntimeEndpoint",
    "SgdslError",
    "TraceError",
    "Usage",
    "WouldBlock",
    "assistant",
    "assistant_begin",
    "assistant_end",
    "constrained_greedy",
    "flush_cache",
    "function",
    "gen",
    "gen_bool",
    "gen_float",
    "gen_int",
    "gen_string",
    "get_server_info",
    "greedy_token_selection",
    "image",
    "joint_likelihood",
    "select",
    "separate_reasoning",
    "set_default_backend",
    "system",
    "system_begin",
    "system_end",
    "token_length_normalized",
    "unconditional_likelihood_normalized",
    "usage",
    "user",
    "user_begin",
    "user_end",
    "video",
]


def __getattr__(name: str) -> Any:
    """What loads torch or a client of servers is imported by whoever asks for it."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'sgdsl' has no attribute {name!r}")
