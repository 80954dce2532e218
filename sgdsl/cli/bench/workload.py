"""Workload: what the load asks, request by request; the same seed gives the same requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["WORKLOADS", "Script", "Shape", "scripts"]

WORDS = """
time year people way day man thing woman life child world school state family student group country problem hand
part place case week company system program question work number night point home water room mother area money
story fact month lot right study book eye job word business issue side kind head house service friend father
power hour game line end member law car city name team minute idea body information back parent face others
level office door health person art war history party result change morning reason research girl guy moment air
teacher force
"""
"""Common words, one token each to most tokenizers."""
SHARED = 0.9
"""The part of a shared-prefix prompt that all have in common."""
STAGES = ("\nList what matters.\n", "\nWhich of them is the first to look at?\n", "\nSay it in one sentence.\n")


@dataclass(frozen=True, slots=True)
class Shape:
    """How big requests are, in tokens: prompts about, answers exactly, or at most where the model may end them."""

    prompt_tokens: int
    new_tokens: int


@dataclass(frozen=True, slots=True)
class Script:
    """Calls one after another, each of which sees the answers before it.

    Attributes:
        path: below `/v1`.
        body: without prompt.
        turns: what is asked; of more than one, each is appended to the prompt and answer before.
        system: the system message, with chat alone.
    """

    path: str
    body: Mapping[str, Any]
    turns: tuple[str, ...]
    system: str = ""

    def request(self, answers: list[str]) -> dict[str, Any]:
        """The body of the call after those answers."""
        if self.path == "completions":
            asked = [part for pair in zip(self.turns, answers, strict=False) for part in pair]
            return {**self.body, "prompt": "".join([*asked, self.turns[len(answers)]])}
        messages = [{"role": "system", "content": self.system}]
        for turn, answer in zip(self.turns, answers, strict=False):
            messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": answer}]
        return {**self.body, "messages": [*messages, {"role": "user", "content": self.turns[len(answers)]}]}


def scripts(workload: str, model: str, shape: Shape, seed: int) -> Iterator[Script]:
    """An endless load.

    Args:
        workload: a name of `WORKLOADS`.
    """
    rng = random.Random(f"{workload} {seed}")
    body = {
        "model": model, "max_tokens": shape.new_tokens, "temperature": 0, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    make = WORKLOADS[workload]
    shared = _text(rng, round(SHARED * shape.prompt_tokens))
    while True:
        yield make(rng, body, shape, shared)


def _decode(rng: random.Random, body: dict[str, Any], shape: Shape, _: str) -> Script:
    return Script("completions", {**body, "ignore_eos": True}, (_text(rng, shape.prompt_tokens),))


def _shared_prefix(rng: random.Random, body: dict[str, Any], shape: Shape, shared: str) -> Script:
    own = max(1, shape.prompt_tokens - round(SHARED * shape.prompt_tokens))
    return Script("completions", {**body, "ignore_eos": True}, (f"{shared} {_text(rng, own)}",))


def _chat(rng: random.Random, body: dict[str, Any], shape: Shape, shared: str) -> Script:
    own = max(1, round((1 - SHARED) * shape.prompt_tokens))
    asked = f"Write about these words: {_text(rng, own)}"
    return Script("chat/completions", body, (asked, "Go on."), system=f"You write short texts. {shared}")


def _program(rng: random.Random, body: dict[str, Any], shape: Shape, _: str) -> Script:
    first, *others = STAGES
    return Script("completions", {**body, "ignore_eos": True}, (_text(rng, shape.prompt_tokens) + first, *others))


WORKLOADS: Mapping[str, Callable[[random.Random, dict[str, Any], Shape, str], Script]] = MappingProxyType(
    {"decode": _decode, "shared-prefix": _shared_prefix, "chat": _chat, "program": _program}
)


def _text(rng: random.Random, num_tokens: int) -> str:
    return " ".join(rng.choices(WORDS.split(), k=max(1, num_tokens)))
