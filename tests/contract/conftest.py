"""One `sgdsl serve` with the default model, for clients that were written for other servers.

Clients bring versions of packages along that the tested set does not have, so `make contract` gives them an environment
of their own, where `SGDSL` names the command that serves. What is not installed is skipped.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

START_SECONDS = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "contract" in item.path.parts:
            item.add_marker(pytest.mark.model)
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # the clients' own, from all over their imports


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where the server is, `/v1` included."""
    command = [os.environ["SGDSL"]] if "SGDSL" in os.environ else [sys.executable, "-m", "sgdsl.cli"]
    command += ["serve", "smollm2", "--port", "0", "--set", "max_total_tokens=16384", "--api-key", "secret"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_read, args=(server, lines))
        reader.start()
        try:
            yield _address(lines) + "/v1"
        finally:
            server.terminate()
            server.wait(60)
            reader.join()


def _read(server: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert server.stderr is not None
    for line in server.stderr:
        lines.put(line)
    lines.put("")


def _address(lines: queue.Queue[str]) -> str:
    """The address that the server says it listens on."""
    said = ""
    while (line := lines.get(timeout=START_SECONDS)) and " at http://" not in line:
        said += line
    assert line, f"the server has ended: {said}"
    return line.split(" at ")[1].strip()


@pytest.fixture(scope="session")
def client_of() -> Any:
    """Imports a client, or skips."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it looks for prices on the network

    def imported(name: str) -> Any:
        return pytest.importorskip(name, reason=f"{name} is not installed; make contract runs it", exc_type=ImportError)

    return imported
