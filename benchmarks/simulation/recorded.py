"""Traces of real servers: JSON lines, one request each, of prompts whose blocks are known by number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.simulation.trace import Piece, Program, Turn

__all__ = ["read"]

HASH_BLOCK, TOKEN_BLOCK = 512, 16


def read(path: Path) -> list[Program]:
    """Every line is a program of one gen.

    A line has `timestamp` (milliseconds), `output_length`, and either `input_ids` (token ids) or, as published traces
    do, `hash_ids` (a number for every 512 tokens, the same for the same text after the same text) with `input_length`.

    Raises:
        ValueError: a line that is not so; its number and what is wrong with it.
    """
    reader = _Reader()
    programs: list[Program] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            programs.append(reader.program(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: {type(error).__name__}: {error}") from error
    if not programs:
        raise ValueError(f"{path} has no requests")
    return sorted(programs, key=lambda program: program.arrival)


class _Reader:
    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}

    def program(self, line: dict[str, Any]) -> Program:
        length = _count(line, "output_length")
        prompt = tuple(self._prompt(line))
        if not prompt:
            raise ValueError("an empty prompt")
        output = Piece(self._number(object()), length)
        return Program("request", float(line["timestamp"]) / 1e3, (Turn(0.0, prompt, output, length),))

    def _prompt(self, line: dict[str, Any]) -> Iterator[Piece]:
        if "input_ids" in line:
            ids = line["input_ids"]
            for start in range(0, len(ids), TOKEN_BLOCK):
                block = tuple(ids[start : start + TOKEN_BLOCK])
                yield Piece(self._number(block), len(block), is_shared=True)
            return
        left = _count(line, "input_length")
        for block in line["hash_ids"]:
            length = min(HASH_BLOCK, left)
            if length > 0:
                yield Piece(self._number((block, length)), length, is_shared=True)
            left -= length
        if left > 0:
            raise ValueError(f"input_length={line['input_length']} is more than {HASH_BLOCK} times hash_ids")

    def _number(self, block: object) -> int:
        return self._numbers.setdefault(block, len(self._numbers))


def _count(line: dict[str, Any], name: str) -> int:
    value = line[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r} is not allowed: an integer of at least 1")
    return value
