"""What can go wrong in `runtime`.

EngineError
├── ConfigError               a setting is out of range or contradicts another (also a ValueError)
├── ModelLoadError            a model cannot be had
│   ├── UnknownModel          no such name, folder, file or hub id
│   ├── DamagedModel          truncated, wrong checksum, missing tensors
│   └── UnsupportedModel      an architecture or tokenizer this runtime does not compute
├── RequestError              a request cannot be served as asked (also a ValueError)
│   ├── InvalidParameter      a field has a value that is not allowed
│   ├── ContextLengthExceeded the prompt leaves no room in the model's context
│   └── PoolCapacityExceeded  the prompt would not fit into the KV pool even alone
├── RequestCancelled          somebody cancelled it, or its session closed
├── RequestTimeout            its time was up before its first token (also a TimeoutError)
├── StepFailed                the forward step it was part of raised; the cause is chained
├── EngineClosed              the engine was shut down
└── LedgerError               the memory accounting is off: a bug in this runtime, never the user's
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ConfigError",
    "ContextLengthExceeded",
    "DamagedModel",
    "EngineClosed",
    "EngineError",
    "InvalidParameter",
    "LedgerError",
    "ModelLoadError",
    "PoolCapacityExceeded",
    "RequestCancelled",
    "RequestError",
    "RequestTimeout",
    "StepFailed",
    "UnknownModel",
    "UnsupportedModel",
    "anew",
]


class EngineError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(EngineError, ValueError):
    """A setting is out of range or contradicts another; the message names both and what is allowed.

    Args:
        remedy: setting → a value that goes together with the others (None: leave it out), where that is known.
    """

    def __init__(self, message: str, *, remedy: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.remedy = dict(remedy or {})


class ModelLoadError(EngineError):
    """A model cannot be found, read or computed."""


class UnknownModel(ModelLoadError):
    """No model of that name: neither built in, nor a folder or file, nor reachable on the hub."""


class DamagedModel(ModelLoadError):
    """The model's files are there but not whole."""


class UnsupportedModel(ModelLoadError):
    """The model is whole but this runtime has no code for its architecture or tokenizer."""


class RequestError(EngineError, ValueError):
    """A request cannot be served as asked; no other request is touched."""


class InvalidParameter(RequestError):
    """A request's field has a value that is not allowed.

    Args:
        field: the parameter's name.
        value: what was given.
        allowed: what would have been accepted, as a phrase.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}={value!r} is not allowed: {allowed}")
        self.field = field
        self.value = value


class ContextLengthExceeded(RequestError):
    """The prompt and at least one new token do not fit into the model's context."""


class PoolCapacityExceeded(RequestError):
    """The prompt would not fit into the KV pool even if nothing else ran."""


class RequestCancelled(EngineError):
    """The request was cancelled, or its session was closed while it ran."""


class RequestTimeout(EngineError, TimeoutError):
    """The request's `timeout` had passed before its first token was there."""


class StepFailed(EngineError):
    """The forward step this request was part of raised an exception, chained as the cause."""


class EngineClosed(EngineError):
    """The engine was shut down before the request ended."""


class LedgerError(EngineError):
    """The ledger's owners do not add up; the message is the table of owners."""


def anew(error: BaseException) -> BaseException:
    """The same error without its traceback.

    Raising an error ties it to the frames it passes, and with them to everything their variables hold. What the engine
    keeps, and what several readers raise, must therefore be an object of its own.
    """
    kind = type(error)
    twin = kind.__new__(kind, *error.args)
    twin.args = error.args  # an OSError takes them in `__init__`
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error.__cause__
    return twin
