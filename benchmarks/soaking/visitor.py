"""Visitor: uses sessions by hand while programs run: namespaces, pins, truncations, and leaving without a word."""

from __future__ import annotations

import random
from typing import Any

from benchmarks.soaking.tiny import WORDS
from runtime.engine import Engine
from runtime.errors import InvalidParameter, RequestCancelled
from runtime.sampling.params import SamplingParams

__all__ = ["LONG", "Visitor"]

NAMESPACES = ("", "", "one", "other")
MOST_PROMPTS = 12
LONG = {"temperature": 0, "max_new_tokens": 90, "ignore_eos": True}
"""So many of them need several times the pool."""


class Visitor:
    """Random calls on random sessions.

    Args:
        engine: whose.
        dice: decides what.
        seconds: a result that takes longer hangs.

    Attributes:
        answers: prompts that were generated for together, and the tokens that came of each.
    """

    def __init__(self, engine: Engine, dice: random.Random, seconds: float) -> None:
        self._engine = engine
        self._dice = dice
        self._seconds = seconds
        self._pins: list[str] = []
        self.num_cancelled = 0
        self.answers: list[tuple[list[str], list[list[int]]]] = []

    def visit(self) -> None:
        """Opens a session, does something with it and its forks, and leaves.

        Raises:
            TimeoutError: something hangs.
            Exception: whatever else must not happen.
        """
        dice = self._dice
        action = dice.random()
        if action < 0.05:
            self._engine.flush_cache()
        elif action < 0.15:
            prompts = [dice.choice(WORDS)[dice.randrange(9) : dice.randrange(10, 60)] for _ in range(MOST_PROMPTS)]
            answers = self._engine.generate(prompts, LONG)
            self.answers.append((prompts, [answer["output_ids"] for answer in answers]))
        elif action < 0.35:
            self._pin()
        else:
            self._work(self._engine.open(namespace=dice.choice(NAMESPACES), program="visitor"))

    def leave(self) -> None:
        """Unpins what is pinned."""
        while self._pins:
            self._engine.unpin(self._pins.pop())

    def _pin(self) -> None:
        if self._pins and self._dice.random() < 0.5:
            self._engine.unpin(self._pins.pop(0))
            return
        text = self._dice.choice(WORDS)
        self._pins.append(self._engine.pin(text * 2, self._dice.choice((0.05, 1.0, 100.0))))

    def _work(self, session: Any) -> None:
        dice = self._dice
        session.append(dice.choice(WORDS)[: dice.randint(1, 70)])
        marks = [session.mark()]
        handles, forks = [self._generate(session)], []
        if dice.random() < 0.5:
            forks = session.fork(dice.randint(1, 3))
            handles += [self._generate(fork) for fork in forks]
        if forks and dice.random() < 0.5:
            handles.append(session.concat(forks))
        if dice.random() < 0.3:
            session.truncate(marks[0].result(timeout=self._seconds))
            handles.append(self._generate(session))
        if dice.random() < 0.2:
            session.append([3] * 40)
            handles.append(session.pin(0.2))
        if dice.random() < 0.3:
            dice.choice([session, *forks]).cancel()
            self.num_cancelled += 1
        for handle in handles if dice.random() < 0.7 else ():
            self._read(handle)
        for one in [session, *forks]:
            if dice.random() < 0.6:
                one.close()  # the others are dropped

    def _generate(self, session: Any) -> Any:
        params = SamplingParams(temperature=0, max_new_tokens=self._dice.randint(0, 12), ignore_eos=True)
        return session.generate(params)

    def _read(self, handle: Any) -> None:
        try:
            handle.result(timeout=self._seconds)
        except RequestCancelled:
            self.num_cancelled += 1
        except InvalidParameter as error:  # a truncation behind the place where a fork began
            if error.field != "sessions":
                raise
