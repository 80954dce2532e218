"""Machines and moments that are not as they should be: each in a process of its own, with a small model."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MAKE = """
import logging, os, signal, sys, threading, time
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
{before}
import torch
from runtime.byte_tokenizer import byte_tokenizer
from runtime.config import EngineConfig
from runtime.engine import Engine
from runtime.model.loader import random_model, tiny_config
from runtime.startup import assemble

def engine():
    shape = tiny_config(vocab_size=tokenizer.vocab_size, hidden_size=96, intermediate_size=192)
    config = EngineConfig.of({{"model": "tiny", "max_total_tokens": 1024}})
    return Engine.of(config, assemble(
        config, random_model(shape, weight_format="auto"), shape, tokenizer, free_bytes=1 << 30, name="tiny"))

def ids(of):
    return of.generate("abc", {{"max_new_tokens": 8, "temperature": 0, "ignore_eos": True}})["output_ids"]

tokenizer = byte_tokenizer()
{body}
"""

PLAIN_GRAMMARS = """
import grammars.machine.tables
from grammars.machine.kernels import plain_kernels
grammars.machine.tables.compiled_kernels = plain_kernels
"""

GENERATE = "made = engine(); print('ids', len(ids(made))); made.shutdown()"


def said(body: str = GENERATE, *, before: str = "", **environment: str) -> str:
    """What a process that does this prints; it must end by itself, and well."""
    program = MAKE.format(before=before, body=body)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=240, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_numba_torch_computes_and_it_is_said() -> None:
    out = said(before="sys.modules['numba'] = None")
    assert "weight_format float32-torch, attention torch, layers torch" in out
    assert "numba is not installed: grammars run in plain Python" in out
    assert "ids 8" in out


def test_without_the_instructions_of_the_kernels_torch_computes_and_it_is_said() -> None:
    out = said(before=PLAIN_GRAMMARS, NUMBA_CPU_NAME="generic")
    assert "has no avx2, f16c, fma" in out
    assert "weight_format float32-torch, attention torch, layers torch" in out
    assert "ids 8" in out


def test_without_a_folder_for_compiled_kernels_they_are_compiled_and_it_is_said() -> None:
    out = said(before=PLAIN_GRAMMARS + "import numba.core.caching as c; c.CacheImpl._locator_classes = []")
    assert "kernel step is compiled at every start" in out
    assert "attention cpu, layers cpu" in out
    assert "ids 8" in out


@pytest.mark.parametrize("settings", [{"OMP_NUM_THREADS": "1"}, {"NUMBA_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "4"}])
def test_settings_of_threads_are_obeyed(settings: dict[str, str]) -> None:
    body = "print('torch', torch.get_num_threads());" + GENERATE
    out = said(body, **settings)
    threads = out.partition("torch ")[2].split()[0]
    assert settings.get("OMP_NUM_THREADS") != "1" or threads == "1"
    assert f"attention cpu, layers cpu, threads {threads}" in out
    assert "ids 8" in out


def test_one_core_and_many_more_threads_than_cores_give_the_same_tokens() -> None:
    body = """
os.sched_setaffinity(0, {{next(iter(os.sched_getaffinity(0)))}})
found = set()
for threads in (1, 2, 16):
    torch.set_num_threads(threads)
    made = engine()
    found.add(tuple(ids(made)))
    made.shutdown()
print("texts", len(found))
"""
    assert "texts 1" in said(body.replace("{{", "{").replace("}}", "}"))


def test_a_forked_child_is_told_that_the_engine_is_not_its_own_and_may_make_one() -> None:
    body = """
made = engine()
before = ids(made)
torch.randn(1 << 22).cos()  # in torch's own threads, which the child does not have
sys.stdout.flush()
child = os.fork()
if not child:
    try:
        ids(made)
    except Exception as error:
        print(type(error).__name__, error)
    torch.randn(1 << 22).cos()
    other = engine()
    print("child", ids(other) == before)
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", ids(made) == before)
made.shutdown()
"""
    out = said(body)
    assert "EngineClosed the engine is the parent process's" in out
    assert "child True" in out
    assert "parent True" in out


def test_two_engines_at_once_and_an_end_while_they_live() -> None:
    body = """
found = []
def go():
    made = engine()
    found.extend(tuple(ids(made)) for _ in range(20))
    kept.append(made)
kept = []
threads = [threading.Thread(target=go) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("found", len(found), len(set(found)))
"""
    assert "found 40 1" in said(body)


def test_an_interrupt_in_the_middle_leaves_an_engine_that_goes_on() -> None:
    body = """
made = engine()
first = ids(made)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    while True:
        ids(made)
except KeyboardInterrupt:
    print("interrupted")
print("same", ids(made) == first)
"""
    out = said(body)
    assert "interrupted" in out
    assert "same True" in out
