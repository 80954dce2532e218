"""Report: what is said of a run when it is over: the JSON object, and the closing line."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sgdsl.errors import ProgramError
from sgdsl.state import ProgramState
from sgdsl.usage import Usage

__all__ = ["closing_line", "counted", "plain", "result", "usage_entry"]


def result(state: ProgramState, text: str, usage: Usage, seconds: float, error: str | None = None) -> dict[str, Any]:
    """The object `--json` prints; after a failure, with whatever there was before it, and `error`."""
    entry: dict[str, Any] = {
        "value": plain(state.ret_value),
        "variables": _variables(state),
        "text": text,
        "messages": None,
        "usage": usage_entry(usage, seconds),
    }
    with suppress(ProgramError):
        entry["messages"] = state.messages()
    return entry if error is None else entry | {"error": error}


def usage_entry(usage: Usage, seconds: float) -> dict[str, Any]:
    """What a run has cost, for JSON."""
    return dataclasses.asdict(usage) | {"seconds": round(seconds, 3)}


def closing_line(usage: Usage, seconds: float) -> str:
    """What a run has cost, in one line."""
    calls = [counted(usage.gens, "gen"), *([counted(usage.selects, "select")] if usage.selects else [])]
    return (
        f"{', '.join(calls)} · {counted(usage.prompt_tokens, 'prompt token')} ({usage.cached_tokens} cached) · "
        f"{usage.generated_tokens} generated · {seconds:.1f} s"
    )


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _variables(state: ProgramState) -> dict[str, Any]:
    """Every name that has come to a value."""
    handles = dict(state._stream.variables)
    ended = {name: handle for name, handle in handles.items() if handle.done() and handle.error() is None}
    return {name: plain(handle.result().value) for name, handle in ended.items()}


def plain(value: Any) -> Any:
    """A value as JSON knows it; what JSON has no form for becomes its text."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [plain(one) for one in value]
    return str(value)
