"""What is under examples/deploy does what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import sgdsl as sg

SHIM = Path(sg.__file__).parent.parent / "examples/deploy/sglang_shim.py"


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("sglang", SHIM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started: list[Any] = []
    monkeypatch.setattr(sg, "Runtime", lambda *args, **settings: started.append((args, settings)), raising=False)
    module.started = started
    return module


def test_xinference_starts_a_server_with_what_it_passes(shim: Any) -> None:
    shim.Runtime(
        model_path="m", tokenizer_path="m", port=31000, tp_size=1, mem_fraction_static=0.88, log_level="info",
        trust_remote_code=True, quantization=None, max_running_requests=12,
    )  # fmt: skip
    wanted = {"tokenizer_path": "m", "port": 31000, "mem_fraction_static": 0.88, "log_level": "info"}
    assert shim.started == [(("m",), {**wanted, "max_running_requests": 12})]


def test_what_would_need_more_reaches_the_engine_which_refuses_it(shim: Any) -> None:
    shim.Runtime(model_path="m", tp_size=4)
    assert shim.started == [(("m",), {"tp_size": 4})]
