"""IR: what programs say, before anything runs."""

from __future__ import annotations

from sgdsl.ir.graph import Graph, Instruction, Parameter
from sgdsl.ir.nodes import (
    Arg,
    Call,
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
    SetVar,
    Text,
    Tokens,
    VarRef,
)
from sgdsl.ir.values import Const, Entries, Items, Joined, Value

__all__ = [
    "Arg",
    "Call",
    "Checkpoint",
    "Concat",
    "Const",
    "Entries",
    "Fork",
    "Gen",
    "Graph",
    "Image",
    "Instruction",
    "Items",
    "Join",
    "Joined",
    "Node",
    "Parameter",
    "RoleBegin",
    "RoleEnd",
    "Rollback",
    "ScopeBegin",
    "ScopeEnd",
    "Select",
    "SetVar",
    "Text",
    "Tokens",
    "Value",
    "VarRef",
]
