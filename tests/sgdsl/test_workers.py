from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import pytest

from sgdsl.workers import Workers


def test_results_and_failures_arrive_and_threads_are_used_again() -> None:
    workers = Workers(2)
    names: list[str] = []

    def work(number: int) -> int:
        names.append(threading.current_thread().name)
        time.sleep(0.01)
        return 10 // number

    futures: list[Future[int]] = [workers.submit(lambda number=number: work(number)) for number in (1, 2, 5, 0)]  # type: ignore[misc]
    assert [future.result(5) for future in futures[:3]] == [10, 5, 2]
    with pytest.raises(ZeroDivisionError):
        futures[3].result(5)
    assert len(set(names)) == 2


def test_work_apart_waits_for_no_worker() -> None:
    workers, gate = Workers(1), threading.Event()
    blocked = workers.submit(lambda: gate.wait(10))
    assert Workers.apart(lambda: "done").result(5) == "done"
    gate.set()
    assert blocked.result(5)


def test_cancelled_work_is_not_begun() -> None:
    workers, gate = Workers(1), threading.Event()
    workers.submit(lambda: gate.wait(10))
    waiting = workers.submit(lambda: "never")
    assert waiting.cancel()
    gate.set()
    assert workers.submit(lambda: "next").result(5) == "next"


STREAM = """
import sgdsl as sg, time
@sg.function
def main(s):
    s += "a" + sg.gen("x")
mock = sg.Mock(lambda prompt, params: time.sleep(60) or "late")
for piece in main.run(stream=True, backend=mock).text_iter():
    raise RuntimeError("the reader gives up")
"""


def test_a_process_ends_though_a_streamed_program_goes_on() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", STREAM], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("RuntimeError: the reader gives up")
    assert time.monotonic() - started < 20
