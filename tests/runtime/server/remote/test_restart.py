"""A real engine's process is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from runtime.errors import EngineClosed
from runtime.sampling.params import SamplingParams
from runtime.server.errors import problem_of
from runtime.server.remote.remote_engine import RemoteEngine

ENDLESS = SamplingParams(max_new_tokens=900, temperature=0.0, ignore_eos=True)
GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)


@pytest.mark.slow
def test_killed_under_streams_everybody_is_told_and_the_next_one_is_served(start: Callable[..., RemoteEngine]) -> None:
    engine = start(max_total_tokens=16384)
    threads = threading.active_count()
    pid = engine.engine_pid
    assert pid is not None
    sessions = [engine.open() for _ in range(16)]
    for place, session in enumerate(sessions):
        session.append(f"{place}: the theatre")
    handles = [session.generate(ENDLESS) for session in sessions]
    for handle in handles:
        next(iter(handle))
    os.kill(pid, signal.SIGKILL)
    since = time.monotonic()
    for handle in handles:
        with pytest.raises(EngineClosed, match="killed by SIGKILL") as caught:
            handle.result(10)
    assert time.monotonic() - since < 1.0
    problem = problem_of(caught.value)
    assert (problem.status, "Retry-After" in problem.headers) == (503, True)
    assert engine.failure is not None
    with pytest.raises(EngineClosed):
        engine.open()
    with pytest.raises(EngineClosed):  # a session of the engine that is gone stays failed
        sessions[0].generate(GREEDY).result(5)
    until = time.monotonic() + 120
    while engine.failure is not None:
        assert time.monotonic() < until
        time.sleep(0.05)
    with engine.open() as session:
        session.append("the theatre")
        assert session.generate(GREEDY).result(30).num_generated == 4
    info = engine.server_info().result(30)
    assert (info["engine_pid"] == engine.engine_pid != pid, info["engine_restarts"]) == (True, 1)
    assert threading.active_count() == threads
    for session in sessions:
        session.close()
    engine.shutdown()
