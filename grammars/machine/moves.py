"""Moves as numbers: what a state does with a byte (see `grammars.machine.layout`)."""

from __future__ import annotations

from grammars.machine.layout import GOTO, LABEL

__all__ = ["goto", "label_move"]


def goto(state: int) -> int:
    """The move to a state."""
    return state << 3 | GOTO


def label_move(label: int) -> int:
    """The move that lets the frame on top decide by a label."""
    return label << 3 | LABEL
