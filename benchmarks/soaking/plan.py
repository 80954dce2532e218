"""Plans: random programs as data, so that the same one can be run again, alone, and must come to the same."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.soaking.tiny import WORDS

__all__ = ["Ask", "Look", "Pick", "Plan", "Redo", "Say", "Split", "Step", "draw"]

MOST_TOKENS = 150
"""A line of execution never becomes longer, so that it fits the smallest pool alone."""

SCHEMA = '{"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"enum": [1, 22]}}, "required": ["a", "b"]}'
CONSTRAINTS: tuple[Mapping[str, Any], ...] = (
    {"regex": r"[a-c]{3,8}(, [0-9]{2})?"},
    {"regex": r"(the |there ){2,4}end"},
    {"json_schema": SCHEMA},
    {"dtype": int},
    {"choices": ["yes", "no", "the theatre"]},
)
STOPS = ("e", " ", "th", "\n", "12", "é")
JOINS = ("gather_variable", "concat_and_append", "none")


@dataclass(frozen=True)
class Say:
    """Text of the program's own."""

    text: str


@dataclass(frozen=True)
class Ask:
    """A gen."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Pick:
    """A select."""

    name: str
    choices: tuple[str, ...]
    method: str


@dataclass(frozen=True)
class Look:
    """Reads a name, so that the program waits here."""

    name: str


@dataclass(frozen=True)
class Redo:
    """Steps that are taken back."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Split:
    """Forks, and how they join."""

    branches: tuple[tuple[Step, ...], ...]
    join: str


Step = Say | Ask | Pick | Look | Redo | Split


@dataclass(frozen=True)
class Plan:
    """One program.

    Attributes:
        steps: what it does.
        num_forks: how many forks it makes.
        fate: "ends", or how it is ended: "cancelled", "dropped", by a "timeout" of the run, or of its gens: "late".
        seconds: after how many seconds that happens.
    """

    steps: tuple[Step, ...]
    num_forks: int
    fate: str
    seconds: float


class _Draft:
    """A plan in the making: counts names, forks and tokens."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.num_names = 0
        self.num_forks = 0

    def steps(self, room: int, depth: int) -> tuple[tuple[Step, ...], int]:
        """Random steps of at most `room` tokens, and how many tokens they may come to."""
        dice, found, used, names = self.dice, [], 0, []
        for _ in range(dice.randint(1, max(1, 5 - depth))):
            step, size = self.step(room - used, depth)
            if step is None:
                break
            found.append(step)
            used += size
            if isinstance(step, Ask | Pick):
                names.append(step.name)
            if names and dice.random() < 0.15:
                found.append(Look(names[-1]))
        return tuple(found), used

    def step(self, room: int, depth: int) -> tuple[Step | None, int]:
        """One step, and how many tokens it may come to; None where there is no room."""
        kind = self.dice.choices(("say", "ask", "pick", "redo", "split"), (4, 5, 2, depth < 2, 3 * (depth < 2)))[0]
        if room < 30:
            return None, 0
        if kind == "say":
            step: Step = Say(self.text(room // 2))
            return step, len(step.text.encode())
        if kind == "ask":
            return self.ask(room)
        if kind == "pick":
            choices = tuple(self.dice.sample(("yes", "no", "true or false", " the", "é"), self.dice.randint(2, 4)))
            methods = ("token_length_normalized", "joint_likelihood", "constrained_greedy", "greedy_token_selection")
            return Pick(self.name(), choices, self.dice.choice(methods)), 14
        if kind == "redo":
            return Redo(self.steps(room, depth + 1)[0]), 0
        return self.split(room, depth)

    def ask(self, room: int) -> tuple[Step, int]:
        """A gen, constrained or free, greedy or drawn by a seed of its own."""
        dice = self.dice
        options: dict[str, Any] = {"temperature": 0.0}
        if dice.random() < 0.3:
            options = {"temperature": 1.0, "seed": dice.getrandbits(31), "top_p": 0.95}
        kind = dice.random()
        if kind < 0.35:
            options |= dice.choice(CONSTRAINTS)
        elif kind < 0.6:
            options["stop"] = dice.sample(STOPS, dice.randint(1, 2))
        elif kind < 0.8:
            options["ignore_eos"] = True
        if "choices" in options:
            options = {"choices": options["choices"]}
        else:
            options["max_tokens"] = dice.randint(1, min(dice.choice((8, 24, 64)), room))
            options["token_healing"] = dice.random() < 0.2
        if dice.random() < 0.3:
            options["priority"] = dice.randint(-1, 2)
        # A stop inside a token keeps a part of it, tokenized anew, and healing takes tokens back and writes others.
        return Ask(self.name(), options), options.get("max_tokens", 14) + 6

    def split(self, room: int, depth: int) -> tuple[Step, int]:
        """Forks that do alike: the same steps with another text before them."""
        count = self.dice.randint(1, 4)
        join = self.dice.choice(JOINS)
        own = room // count if join == "concat_and_append" else room
        steps, used = self.steps(own - 20, depth + 1) if own >= 50 else ((), 0)
        self.num_forks += count
        branches = tuple((Say(self.text(10)), *steps) for _ in range(count))
        return Split(branches, join), count * (used + 20) if join == "concat_and_append" else 0

    def text(self, most: int) -> str:
        """Some characters out of the words: beginnings, which programs have in common, or any."""
        words = self.dice.choice(WORDS)
        length = self.dice.randint(1, max(1, min(most // 2, 50)))
        start = 0 if self.dice.random() < 0.6 else self.dice.randrange(len(words) - 1)
        return words[start : start + length]

    def name(self) -> str:
        """A name of its own."""
        self.num_names += 1
        return f"v{self.num_names}"


def draw(dice: random.Random) -> Plan:
    """A random program."""
    draft = _Draft(dice)
    opening = Say(dice.choice(WORDS)[: dice.choice((5, 40, 40, 70))])
    steps, _ = draft.steps(MOST_TOKENS - len(opening.text.encode()) // 2, 0)
    fate = dice.choices(("ends", "cancelled", "dropped", "timeout", "late"), (7, 2, 1, 1, 1))[0]
    return Plan((opening, *steps), draft.num_forks, fate, dice.expovariate(20))
