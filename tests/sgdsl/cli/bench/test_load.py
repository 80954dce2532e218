from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sgdsl.cli.bench.load import GIVES_UP_AFTER, Load, Plan
from sgdsl.cli.bench.sample import NO_CONNECTION, Sample
from sgdsl.cli.bench.workload import Shape, scripts


class Asked:
    """Answers at once, or as `fails` says, and counts what is under way."""

    def __init__(self, fails: Callable[[int], str | None] = lambda _: None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.most = self.under_way = 0
        self._fails = fails

    async def ask(self, path: str, body: dict[str, Any]) -> Sample:
        self.bodies.append(body)
        number = len(self.bodies)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        self.under_way -= 1
        return Sample(0.0, ended=1.0, text=f" answer{number}", error=self._fails(number))


def load(asked: Asked, told: list[Sample], workload: str = "decode", **plan: Any) -> Load:
    given = {"concurrency": None, "rate": None, "num_scripts": None, "seconds": None, **plan}
    return Load(asked, scripts(workload, "m", Shape(4, 2), 0), Plan(**given), 0, told.append)


async def test_a_closed_loop_has_so_many_under_way():
    asked, told = Asked(), []
    samples = await load(asked, told, concurrency=3, num_scripts=20).run()
    assert (len(samples), asked.most) == (20, 3)
    assert told == samples


async def test_a_rate_begins_them_whatever_is_under_way():
    asked = Asked()
    samples = await load(asked, [], rate=1e6, num_scripts=50).run()
    assert len(samples) == 50
    assert asked.most > 3


async def test_none_begins_when_the_time_is_up():
    assert await load(Asked(), [], concurrency=2, seconds=1e-9).run() == []
    assert await load(Asked(), [], rate=1000.0, seconds=1e-9).run() == []


async def test_a_program_is_three_calls_with_the_answers_in_them():
    asked = Asked()
    await load(asked, [], "program", concurrency=1, num_scripts=1).run()
    assert len(asked.bodies) == 3
    assert " answer1" in asked.bodies[1]["prompt"]
    assert " answer2" in asked.bodies[2]["prompt"]


async def test_a_program_whose_call_fails_goes_no_further():
    asked = Asked(lambda number: "status 500" if number == 2 else None)
    samples = await load(asked, [], "program", concurrency=1, num_scripts=2).run()
    assert [sample.error for sample in samples] == [None, "status 500", None, None, None]


async def test_it_gives_up_on_a_server_that_is_gone():
    gone = load(Asked(lambda number: NO_CONNECTION if number > 5 else None), [], concurrency=1, num_scripts=1000)
    assert len(await gone.run()) == 5 + GIVES_UP_AFTER
    assert gone.has_given_up


async def test_a_server_that_is_busy_is_not_gone():
    busy = load(Asked(lambda _: "status 429"), [], concurrency=1, num_scripts=50)
    assert len(await busy.run()) == 50
    assert not busy.has_given_up
