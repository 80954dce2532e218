"""RemoteProgram: one program on an engine here and on a server, in turn, with the same settings and the same texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

import sgdsl as sg
from benchmarks.prompts import words
from benchmarks.serving.served import Served
from runtime.engine import Engine

__all__ = ["Turn", "compare", "trip"]

PREFIX_TOKENS = 200


@sg.function
def trip(s: sg.ProgramState, about: str) -> Any:
    """Gens one after another, a fork of three, a choice and a constraint."""
    s += about + "\nWhere to go:" + sg.gen("place", max_tokens=24, ignore_eos=True)
    s += "\nWhen to go there:" + sg.gen("season", max_tokens=16, ignore_eos=True)
    forks = s.fork(3)
    for fork, topic in zip(forks, ("eat", "see", "take along"), strict=True):
        fork += f"\nWhat to {topic}:" + sg.gen("idea", max_tokens=16, ignore_eos=True)
    ideas = [fork["idea"] for fork in forks]
    s += "\nIt costs" + sg.gen("price", max_tokens=8, regex=r" [1-9][0-9]{2,3} euros")
    s += ". The best of all:" + sg.select("choice", [" to eat", " to see", " to go home"])
    return [s["place"], s["season"], *ideas, s["price"], s["choice"]]


@dataclass(frozen=True)
class Turn:
    """One run of it on either side.

    Attributes:
        seconds: here, and on the server.
        processor: seconds of it in this process, and in all three: this one, the server's and its engine's.
        computed: prompt tokens run through the model, here and there.
        is_same: whether the texts are.
    """

    seconds: tuple[float, float]
    processor: tuple[float, float]
    computed: tuple[int, int]
    is_same: bool


@dataclass(frozen=True)
class _Run:
    seconds: float
    processor: float
    computed: int
    texts: Any


def compare(engine: Engine, served: Served, turns: int) -> list[Turn]:
    """Runs it on both in turn, who is first changing, each time about something new.

    Args:
        engine: here.
        served: a server with the same model and settings, which nobody else uses.
    """
    with sg.RuntimeEndpoint(served.url) as endpoint:
        here = _Side(engine, engine.stats, ())
        there = _Side(endpoint, lambda: endpoint.get_server_info()["stats"], served.processes)
        found = []
        for turn in range(-1, turns):  # the first warms both up
            about = words(engine.tokenizer, PREFIX_TOKENS, f"trip-{turn}")
            runs = {side: side.run(about) for side in ((here, there) if turn % 2 else (there, here))}
            found.append(_turn(runs[here], runs[there]))
    return found[1:]


def _turn(own: _Run, other: _Run) -> Turn:
    return Turn(
        (own.seconds, other.seconds),
        (own.processor, other.processor),
        (own.computed, other.computed),
        own.texts == other.texts,
    )


class _Side:
    """Where it runs: the backend, its counters, and the processes besides this one that work on it."""

    def __init__(
        self, backend: Any, stats: Callable[[], Mapping[str, Any]], processes: Sequence[psutil.Process]
    ) -> None:
        self._backend = backend
        self._stats = stats
        self._processes = processes

    def run(self, about: str) -> _Run:
        computed, spent, begun = self._stats()["computed_tokens"], self._processor(), time.perf_counter()
        texts = trip.run(about, backend=self._backend, temperature=0.0).ret_value
        seconds, spent = time.perf_counter() - begun, self._processor() - spent
        return _Run(seconds, spent, self._stats()["computed_tokens"] - computed, texts)

    def _processor(self) -> float:
        return time.process_time() + sum(sum(one.cpu_times()[:2]) for one in self._processes)
