"""IR: what programs say, before anything runs."""

from __future__ import annotations

from sgdsl.ir.nodes import (
    Checkpoint,
    Concat,
    Fork,
    Gen,
    Image,
    Join,
    Node,
    RoleBegin,
    RoleEnd,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    Select,
    Text,
    Tokens,
)

__all__ = [
    "Checkpoint",
    "Concat",
    "Fork",
    "Gen",
    "Image",
    "Join",
    "Node",
    "RoleBegin",
    "RoleEnd",
    "Rollback",
    "ScopeBegin",
    "ScopeEnd",
    "Select",
    "Text",
    "Tokens",
]
