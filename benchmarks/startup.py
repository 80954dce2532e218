"""Start-up and memory, each measured in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

MEMORY = """
import json
from pathlib import Path
from runtime.engine import Engine
with Engine(max_total_tokens=16384) as engine:
    engine.generate("The quick brown fox", {"max_new_tokens": 32, "temperature": 0})
    pool = engine._assembled.runner._pool
    # Not ru_maxrss: that is inherited from whoever started this process.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024
    touched = engine.stats()["ledger"]["total"] - engine.stats()["ledger"]["free"]
    print(json.dumps({"peak": peak, "pool_used": touched * pool.num_bytes // pool.num_slots}))
"""

BESIDE_LIBRARIES = """
import json, time
from pathlib import Path
import torch
imported, cpu = time.perf_counter(), time.process_time()
import gguf.quants, llvmlite.binding, numba, tokenizers
from runtime.engine import Engine

def resident():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) * 1024

libraries = resident()
with Engine(max_total_tokens=512) as engine:
    next(iter(engine.generate("The quick brown fox", {"max_new_tokens": 32, "temperature": 0}, stream=True)))
    seconds, cpu = time.perf_counter() - imported, time.process_time() - cpu
    engine.generate("The quick brown fox", {"max_new_tokens": 32, "temperature": 0})
    kv = engine._assembled.runner._pool.num_bytes
    print(json.dumps({"seconds": seconds, "cpu": cpu, "resident": resident() - libraries, "kv": kv}))
"""


def _seconds(command: list[str], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def import_seconds(repeat: int = 7) -> float:
    """Seconds that `import sgdsl` adds to a bare interpreter's start."""
    bare = _seconds([sys.executable, "-c", "pass"], repeat)
    return _seconds([sys.executable, "-c", "import sgdsl"], repeat) - bare


def help_seconds(repeat: int = 7) -> float:
    """Seconds of `sgdsl --help`, interpreter included."""
    return _seconds([sys.executable, "-m", "sgdsl.cli", "--help"], repeat)


def first_token_seconds(program: str = "examples/quickstart.py") -> float:
    """Seconds from process start to the first generated text of the quickstart, cache filled."""
    command = [sys.executable, "-u", "-m", "sgdsl.cli", "run", program, "--events"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            if json.loads(line).get("event") == "generated":
                seconds = time.perf_counter() - start
                process.terminate()
                return seconds
    raise RuntimeError("the quickstart generated nothing")


def peak_megabytes() -> tuple[float, float]:
    """Peak resident memory of an engine without its KV pool, and the part of the pool it had used, in MB."""
    done = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    numbers = json.loads(done.stdout.splitlines()[-1])
    return (numbers["peak"] - numbers["pool_used"]) / 1e6, numbers["pool_used"] / 1e6


def beside_libraries() -> dict[str, float]:
    """What an engine takes that is neither interpreter nor library.

    Returns:
        `seconds` from `import torch` to the first token, and `cpu` seconds of the same; `resident` bytes, mapped pages
        of files included, and `kv`, the bytes of the whole pool, of which some are among them.
    """
    done = subprocess.run([sys.executable, "-c", BESIDE_LIBRARIES], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
