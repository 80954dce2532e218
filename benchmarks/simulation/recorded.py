"""Traces of real servers: JSON lines, one request each, of prompts whose blocks are known by number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.simulation.trace import Piece, Program, Turn

__all__ = ["read"]

HASH_BLOCK, TOKEN_BLOCK = 512, 16


def read(path: Path) -> list[Program]:
    """Every line is a program of one gen; they are sorted by time.

    A line has `timestamp` (milliseconds), `output_length` (tokens), and the prompt in one of two forms: `input_ids`
    (token ids; what two prompts share is found by blocks of 16), or, as the published traces of Mooncake do,
    `hash_ids` (a number for every 512 tokens, the same for the same text after the same text) with `input_length`.
    `program`, a name, and `max_tokens`, what the request allowed, may be there; other fields are passed over.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line that is not so; its number, the field, its value and what is allowed.
    """
    reader = _Reader()
    programs: list[Program] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                programs.append(reader.program(_object(line)))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    if not programs:
        raise ValueError(f"{path} has no requests")
    return sorted(programs, key=lambda program: program.arrival)


class _Reader:
    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._num_outputs = 0

    def program(self, line: dict[str, Any]) -> Program:
        time = _field(line, "timestamp")
        if isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time < math.inf:
            raise ValueError(f"timestamp={time!r} is not allowed: milliseconds, at least 0")
        name = line.get("program", "request")
        if not isinstance(name, str):
            raise ValueError(f"program={name!r} is not allowed: a name")
        length = _count(line, "output_length")
        most = _count(line, "max_tokens") if "max_tokens" in line else length
        if most < length:
            raise ValueError(f"max_tokens={most} is not allowed: at least output_length={length}")
        prompt = tuple(self._by_ids(line) if "input_ids" in line else self._by_hashes(line))
        self._num_outputs += 1
        output = Piece(-self._num_outputs, length)  # no prompt's number
        return Program(name, time / 1e3, (Turn(0.0, prompt, output, most),))

    def _by_ids(self, line: dict[str, Any]) -> Iterator[Piece]:
        ids = _integers(line, "input_ids")
        for start in range(0, len(ids), TOKEN_BLOCK):
            block = tuple(ids[start : start + TOKEN_BLOCK])
            yield Piece(self._number(block), len(block), is_shared=True)

    def _by_hashes(self, line: dict[str, Any]) -> Iterator[Piece]:
        blocks = _integers(line, "hash_ids")
        left = _count(line, "input_length")
        if not 0 < math.ceil(left / HASH_BLOCK) <= len(blocks):
            raise ValueError(
                f"input_length={left} is not allowed with {len(blocks)} hash_ids: at most {HASH_BLOCK} tokens for each"
            )
        for block in blocks[: math.ceil(left / HASH_BLOCK)]:
            length = min(HASH_BLOCK, left)
            yield Piece(self._number((block, length)), length, is_shared=True)
            left -= length

    def _number(self, block: object) -> int:
        return self._numbers.setdefault(block, len(self._numbers))


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{type(found).__name__} where an object is expected")
    return found


def _field(line: dict[str, Any], name: str) -> Any:
    if name not in line:
        raise ValueError(f"{name} is missing")
    return line[name]


def _count(line: dict[str, Any], name: str) -> int:
    value = _field(line, name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
        raise ValueError(f"{name}={value!r} is not allowed: an integer of at least 1")
    return value


def _integers(line: dict[str, Any], name: str) -> list[int]:
    values = _field(line, name)
    if not isinstance(values, list) or not values:
        raise ValueError(f"{name} is not allowed to be {values!r}: a list of at least one integer")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name} holds {value!r}: only integers are allowed")
    return values
