from __future__ import annotations

import asyncio
import threading

import pytest

from runtime.errors import EngineClosed
from sgdsl.backends.text.client_loop import ClientLoop


class Client:
    def __init__(self) -> None:
        self.closed_in: list[str] = []
        self.fails = False

    async def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)
        if self.fails:
            raise OSError("gone")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "sgdsl-test"]


@pytest.fixture
def client() -> Client:
    return Client()


def test_it_starts_with_the_first_post_and_keeps_their_order(client: Client) -> None:
    loop = ClientLoop("test", client.close)
    assert threads() == []
    done, seen = threading.Event(), list[int]()
    for number in range(100):
        loop.post(lambda number=number: seen.append(number))  # type: ignore[misc]
    loop.post(done.set)
    assert done.wait(5)
    assert seen == list(range(100))
    assert threads() == ["sgdsl-test"]
    loop.close()
    assert threads() == []
    assert client.closed_in == ["sgdsl-test"]
    with pytest.raises(EngineClosed, match="the test backend was closed"):
        loop.post(done.set)
    loop.close()


def test_what_runs_is_cancelled_before_the_client_is_closed(client: Client) -> None:
    loop = ClientLoop("test", client.close)
    started, tasks = threading.Event(), list[asyncio.Task[None]]()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            assert client.closed_in == []
            await asyncio.sleep(0)

    loop.post(lambda: tasks.append(asyncio.get_running_loop().create_task(work())))
    assert started.wait(5)
    loop.close()
    assert tasks[0].cancelled()
    assert client.closed_in == ["sgdsl-test"]


def test_a_client_that_cannot_be_closed_is_given_up(client: Client) -> None:
    client.fails = True
    loop = ClientLoop("test", client.close)
    loop.post(lambda: None)
    loop.close()
    assert threads() == []


def test_it_can_be_closed_from_within(client: Client) -> None:
    loop = ClientLoop("test", client.close)
    loop.post(loop.close)
    for thread in threading.enumerate():
        if thread.name == "sgdsl-test":
            thread.join(5)
    assert client.closed_in == ["sgdsl-test"]
