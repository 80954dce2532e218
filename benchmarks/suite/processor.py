"""Processor: the processor time a side has taken, where its processes are on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import psutil

__all__ = ["listeners", "seconds_of"]

_LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0")


def listeners(url: str) -> list[int]:
    """The processes that listen where a URL points; none where that is elsewhere, or may not be seen."""
    parts = urlsplit(url)
    if parts.hostname not in _LOCAL:
        return []
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections):
            found.append(process.pid)
    return found


def seconds_of(pids: Sequence[int]) -> float | None:
    """Processor time of these processes and all below them so far; None where there are none."""
    total, seen = 0.0, set()
    for pid in pids:
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            continue
        for process in family:
            if process.pid not in seen:
                seen.add(process.pid)
                total += _own(process)
    return total if seen else None


def _own(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
