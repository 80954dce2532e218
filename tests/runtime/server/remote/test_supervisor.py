"""With a stand-in for the engine's process, which starts at once and misbehaves as it is told."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from runtime.byte_tokenizer import byte_tokenizer
from runtime.constant_texts import ConstantTexts
from runtime.errors import ConfigError, EngineClosed, EngineError, ModelLoadError
from runtime.server.remote import child as child_module
from runtime.server.remote import messages as link
from runtime.server.remote.child import Child
from runtime.server.remote.supervisor import Patience, Supervisor, _Watch

STAND_IN = """
import os, sys, threading, time
import msgspec
from runtime.errors import ConfigError, DamagedModel
from runtime.server.remote import messages as link
from runtime.server.remote.channel import Channel
from runtime.server.remote.parent_watch import watch_parent
from runtime.wire.errors import problem_of

said = msgspec.json.decode(sys.stdin.buffer.readline(), type=link.Settings)
watch_parent(said.parent, 0)
asked = said.settings
stop = threading.Event()

def take(frame):
    for message in link.read_from_server(frame):
        if isinstance(message, link.Stop) and not asked.get("deaf"):
            stop.set()
        if isinstance(message, link.Ping) and not (asked.get("hangs") and message.number > 1):
            channel.say(link.Pong(message.number))
        if isinstance(message, link.Ask) and message.question == "stats":
            channel.say(link.Value(message.call, {"pid": os.getpid()}))

channel = Channel(said.token, incoming=said.orders, outgoing=said.answers, binds=False, take=take)
code = 0
if asked.get("exits"):
    code = asked["exits"]
elif asked.get("broken"):
    error = ConfigError("a and b", remedy={"a": 1}) if asked["broken"] == "config" else DamagedModel("it is damaged")
    channel.say(link.Broken(problem_of(error), getattr(error, "remedy", None)))
    code = 1
elif asked.get("mute"):
    time.sleep(60)
else:
    channel.say(link.Started("stand-in", 99, ("a line",)))
    if "lives" in asked:
        stop.wait(asked["lives"])
        if asked.get("dies_of"):
            channel.say(link.Broken(problem_of(RuntimeError(asked["dies_of"]))))
            code = 1
    else:
        stop.wait(60)
channel.close(2.0)
os._exit(code)
"""

QUICK = Patience(start=30.0, hang=0.3, stop=10.0, ping=0.05, first_pause=0.05, longest_pause=0.2, soon=0.5)

Begin = Callable[..., Supervisor]


class StandInChild:
    """Is waited for, and never says anything."""

    pid = 0
    killed = False

    def __init__(self) -> None:
        self.core = self
        self.is_waited_for = True

    def say(self, message: Any) -> None:
        assert isinstance(message, link.Ping)

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    (tmp_path / "stand_in_engine.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(child_module, "MODULE", "stand_in_engine")
    constants = ConstantTexts(byte_tokenizer())
    begun: list[Supervisor] = []

    def started(patience: Patience = QUICK, **settings: Any) -> Supervisor:
        begun.append(Supervisor(settings, constants, patience))
        return begun[-1]

    yield started
    for one in begun:
        one.halt()
        one.join()


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc/self/stat").exists() else True


def stats_of(supervisor: Supervisor) -> Any:
    return supervisor.core.ask(lambda call: link.Ask(call, "stats")).result(20)


def never_answered(supervisor: Supervisor) -> Any:
    return supervisor.core.ask(lambda call: link.Ask(call, "server_info"))


def test_it_starts_answers_and_stops_leaving_nothing(begin: Begin) -> None:
    before = set(threading.enumerate())
    supervisor = begin()
    assert supervisor.started.result(30) == link.Started("stand-in", 99, ("a line",))
    assert supervisor.failure is None
    pid = cast(int, supervisor.pid)
    folder = supervisor._child._folder  # type: ignore[union-attr]
    until(lambda: not folder.exists())
    assert stats_of(supervisor) == {"pid": pid}
    supervisor.halt()
    supervisor.join()
    assert not is_alive(pid)
    assert set(threading.enumerate()) <= before
    with pytest.raises(EngineClosed, match="shut down"):
        _ = supervisor.core


def test_the_sockets_folder_is_nobody_elses(begin: Begin) -> None:
    supervisor = begin(mute=True)
    folder = until(lambda: supervisor._child)._folder
    assert folder.stat().st_mode & 0o077 == 0
    supervisor.halt()
    supervisor.join()
    assert not folder.exists()


def test_a_frame_without_the_token_is_dropped(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    import zmq

    supervisor = begin(mute=True)
    child = until(lambda: supervisor._child)
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket, caplog.at_level(logging.WARNING):
        socket.connect(f"ipc://{child._folder / 'answers'}")
        frame = link.encode([link.Started("forged", 1, ())])
        socket.send_multipart((b"x" * 32, frame))
        socket.send_multipart((frame,))
        until(lambda: caplog.text.count("somebody else") == 2)
    assert not supervisor.started.done()


def test_one_that_is_killed_fails_its_calls_at_once_and_is_started_again(begin: Begin) -> None:
    supervisor = begin()
    supervisor.started.result(30)
    pid = cast(int, supervisor.pid)
    waiting = [never_answered(supervisor) for _ in range(16)]
    os.kill(pid, signal.SIGKILL)
    core = supervisor.core
    for handle in waiting:
        with pytest.raises(EngineClosed, match="was killed by SIGKILL"):
            handle.result(1.0)
    core.tell(link.Leave(1))  # nobody hears it, and nothing waits for that
    assert supervisor.failure is None or "was killed by SIGKILL" in str(supervisor.failure)
    until(lambda: supervisor.failure is None and supervisor.pid not in (None, pid))
    assert stats_of(supervisor) == {"pid": supervisor.pid}
    assert supervisor.num_restarts == 1


def test_one_that_hangs_while_somebody_waits_is_killed(begin: Begin) -> None:
    supervisor = begin(hangs=True)
    supervisor.started.result(30)
    pid = cast(int, supervisor.pid)
    time.sleep(0.5)
    assert supervisor.pid == pid  # nobody waits, so nothing is the matter
    with pytest.raises(EngineClosed, match=r"no sign of life for 0\.3 s"):
        never_answered(supervisor).result(10)
    until(lambda: supervisor.failure is None and supervisor.pid != pid)
    assert not is_alive(pid)


def test_one_that_was_stopped_together_with_its_server_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Ctrl-Z: the clock has gone on, but nobody was there to hear anything."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    child = StandInChild()
    watch = _Watch(Patience(hang=10.0, ping=1.0), cast(Child, child))
    watch.begin_pinging()
    assert watch.look(False) is None
    now[0] += 3600.0
    assert watch.look(False) is None
    for _ in range(7):
        now[0] += 1.0
        assert watch.look(False) is None
    now[0] += 1.5
    assert "no sign of life for 10 s" in str(watch.look(False))
    assert child.killed


def test_one_that_dies_again_and_again_is_given_pauses_and_the_reason_is_said(begin: Begin) -> None:
    supervisor = begin(lives=0.01, dies_of="no more memory")
    supervisor.started.result(30)
    until(lambda: "in 0.2 s" in str(supervisor.failure), 60)
    assert "the engine died: RuntimeError: no more memory; it is tried again in 0.2 s" in str(supervisor.failure)
    with pytest.raises(EngineClosed, match="no more memory"):
        _ = supervisor.core


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"exits": 3}, EngineError, "the engine's process ended with exit code 3 before it served"),
        ({"broken": "config"}, ConfigError, "a and b"),
        ({"broken": "model"}, ModelLoadError, "it is damaged"),
    ],
)
def test_one_that_cannot_start_says_why(begin: Begin, settings: Any, kind: type, message: str) -> None:
    supervisor = begin(**settings)
    with pytest.raises(kind, match=f"^{message}$") as caught:
        supervisor.started.result(30)
    supervisor.join()
    assert supervisor.num_restarts == 0
    if kind is ConfigError:
        assert cast(ConfigError, caught.value).remedy == {"a": 1}


def test_one_that_never_starts_is_given_up(begin: Begin) -> None:
    supervisor = begin(Patience(start=0.3, ping=0.05), mute=True)
    with pytest.raises(EngineError, match=r"did not start within 0\.3 s"):
        supervisor.started.result(20)


def test_one_that_does_not_stop_is_killed(begin: Begin) -> None:
    supervisor = begin(Patience(stop=0.2, ping=0.05), deaf=True)
    supervisor.started.result(30)
    pid = cast(int, supervisor.pid)
    waiting = never_answered(supervisor)
    supervisor.halt()
    supervisor.join()
    assert not is_alive(pid)
    with pytest.raises(EngineClosed, match="was shut down"):
        waiting.result(1.0)


def test_shutting_down_while_it_starts(begin: Begin) -> None:
    supervisor = begin(mute=True)
    pid = until(lambda: supervisor.pid)
    supervisor.halt()
    supervisor.join()
    assert not is_alive(pid)
    with pytest.raises(EngineError):
        supervisor.started.result(1.0)


def test_restarts_leave_nothing_behind(begin: Begin) -> None:
    supervisor = begin(Patience(ping=0.05, first_pause=0.01, longest_pause=0.01))
    supervisor.started.result(30)
    counts = []
    for _ in range(4):
        stats_of(supervisor)
        counts.append((threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0))
        pid = cast(int, supervisor.pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: supervisor.failure is None and supervisor.pid not in (None, pid))
    assert counts[0] == counts[-1]


def test_the_process_does_not_outlive_its_parent(begin: Begin, tmp_path: Path) -> None:
    begin()  # for the stand-in's file
    parent = (
        "import sys, time; from runtime.server.remote import child; child.MODULE = 'stand_in_engine'\n"
        "from runtime.server.remote.supervisor import Patience, Supervisor\n"
        "supervisor = Supervisor({}, None, Patience()); supervisor.started.result(30)\n"
        "while supervisor._child._folder.exists(): time.sleep(0.01)\n"  # from here on nothing of it is left on disk
        "print(supervisor.pid, flush=True); time.sleep(60)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.kill()
    until(lambda: not is_alive(pid))


def test_patience_has_limits() -> None:
    with pytest.raises(ConfigError, match=r"patience\.hang=0 "):
        Patience(hang=0)
    pauses = [Patience().pause(quick) for quick in (0, 1, 2, 3, 4, 5000)]
    assert pauses == [0.0, 0.0, 0.5, 1.0, 2.0, 30.0]
