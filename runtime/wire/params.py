"""Sampling parameters, with the grammar in them, as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grammars.spec import Spec
from runtime.sampling.params import SamplingParams
from runtime.wire.codec import read, write

__all__ = ["read_params", "read_spec", "write_params", "write_spec"]


def write_params(params: SamplingParams) -> dict[str, Any]:
    """Every field that is not at its default."""
    written: dict[str, Any] = write(params)
    del written["type"]
    return written


def read_params(data: Mapping[str, Any]) -> SamplingParams:
    """The same parameters again.

    Raises:
        ProtocolError: a field is unknown or of another type.
        InvalidParameter, InvalidSpec: a field has a value that is not allowed.
    """
    read_back: SamplingParams = read(SamplingParams, dict(data), "params")
    return read_back


def write_spec(spec: Spec) -> dict[str, Any]:
    """A constraint as an object whose `type` is its class."""
    written: dict[str, Any] = write(spec)
    return written


def read_spec(data: Mapping[str, Any]) -> Spec:
    """The same constraint again.

    Raises:
        ProtocolError: no constraint of that type, or a field is unknown or of another type.
        InvalidSpec: a field has a value that is not allowed.
    """
    spec: Spec = read(Spec, dict(data), "constraint")
    return spec
