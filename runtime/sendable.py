"""Sendable: a plain immutable value that goes over the wire as it is. Light: no torch, nothing of the engine."""

from __future__ import annotations

import msgspec

__all__ = ["Sendable"]


class Sendable(msgspec.Struct, frozen=True, tag=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of such values: made, compared and encoded by msgspec.

    As JSON it is an object with its class's name as `type`; fields at their defaults are left out, and fields that the
    class does not have are refused.
    """
