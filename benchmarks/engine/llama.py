"""LlamaBench: llama.cpp's own benchmark of one model, run as a program and read."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LlamaBench", "Peer"]

UBATCH = 512
SPARE = 64
"""Cells of its cache beyond those that prompts and new tokens need."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What one run did, in tokens a second."""

    prefill: float
    decode: float


@dataclass(frozen=True, slots=True)
class LlamaBench:
    """`llama-batched-bench` with one model.

    Args:
        binary: the program.
        model: a GGUF file.
        threads: for prompts and for decoding.
    """

    binary: Path
    model: Path
    threads: int

    def run(self, batch: int, prompt: int, new: int, *, is_shared: bool = False) -> Peer:
        """`batch` sequences of `prompt` tokens each, computed first, and then `new` tokens of each, side by side.

        Args:
            is_shared: whether all have the same prompt, computed once.

        Raises:
            RuntimeError: it failed, or said something else.
        """
        cells = (prompt + new) * batch + SPARE
        command = [str(self.binary), "-m", str(self.model), "-c", str(cells), "-b", "2048", "-ub", str(UBATCH)]
        command += ["-npp", str(prompt), "-ntg", str(new), "-npl", str(batch)]
        command += ["-t", str(self.threads), "-tb", str(self.threads), "--output-format", "jsonl"]
        done = subprocess.run([*command, "-pps"] if is_shared else command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.binary.name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return parse(done.stdout)


def parse(output: str) -> Peer:
    """Reads the one line of JSON that it prints.

    Raises:
        RuntimeError: there is none, or not the fields that are needed.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise RuntimeError(f"llama-batched-bench printed {len(lines)} lines of JSON where one was expected")
    found = json.loads(lines[0])
    missing = {"speed_pp", "speed_tg"} - found.keys()
    if missing:
        raise RuntimeError(f"llama-batched-bench printed no {', '.join(sorted(missing))}: {lines[0]}")
    return Peer(float(found["speed_pp"]), float(found["speed_tg"]))
