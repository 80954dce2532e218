"""Backends by name, and what happens where the kernel does not compile."""

from __future__ import annotations

import pytest

from runtime.attention.registry import create
from runtime.errors import ConfigError
from runtime.model.loader import tiny_config


@pytest.mark.parametrize(("name", "made"), [("auto", "cpu"), ("cpu", "cpu"), ("torch", "torch")])
def test_names(name: str, made: str) -> None:
    assert create(name, tiny_config(), 16).name == made


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"attention='flash' is not allowed: one of auto, cpu, torch"):
        create("flash", tiny_config(), 16)


def test_without_the_kernel_auto_takes_torch_and_says_so_and_cpu_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(kind: str) -> None:
        raise ImportError("no numba")

    monkeypatch.setattr("runtime.attention.cpu.kernels", broken)
    assert create("auto", tiny_config(), 16).name == "torch"
    assert "no numba" in caplog.text
    with pytest.raises(ConfigError, match="no numba"):
        create("cpu", tiny_config(), 16)
