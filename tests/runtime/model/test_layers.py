"""RMSNorm, SwiGLU and rotary positions: the kernels against torch, torch against the formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.model.layers import CpuOps, Rotary, TorchOps, best_ops
from runtime.model.loader import tiny_config


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), size=st.integers(1, 100), scale=st.sampled_from([1e-3, 1.0, 30.0]))
def test_kernels_agree_with_torch(rows: int, size: int, scale: float) -> None:
    x, weight = scale * torch.randn(rows, size), torch.randn(size)
    cpu, plain = CpuOps(), TorchOps()
    torch.testing.assert_close(cpu.rms_norm(x, weight, 1e-5), plain.rms_norm(x, weight, 1e-5), atol=1e-6, rtol=1e-5)
    both = scale * torch.randn(rows, 2 * size + 3)[:, : 2 * size]
    torch.testing.assert_close(cpu.swiglu(both), plain.swiglu(both), atol=1e-6, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 9), half=st.integers(1, 40), num_heads=st.integers(1, 4), num_kv_heads=st.integers(1, 3))
def test_placing_rotates_queries_and_keys_and_stores_in_the_right_slots(
    rows: int, half: int, num_heads: int, num_kv_heads: int
) -> None:
    heads = torch.randn(rows, num_heads + 2 * num_kv_heads, 2 * half)
    angles = (torch.randn(rows, half), torch.randn(rows, half))
    slots = 1 + torch.randperm(20)[:rows]
    placed = []
    for ops in (CpuOps(), TorchOps()):
        own, keys, values = (
            heads.clone(),
            torch.zeros(21, num_kv_heads, 2 * half),
            torch.zeros(21, num_kv_heads, 2 * half),
        )
        ops.place(own, angles, slots, (keys, values))
        placed.append((own, keys, values))
    for mine, expected in zip(*placed, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-6, rtol=1e-5)
    first, second = heads[:, :num_heads, :half], heads[:, :num_heads, half:]
    cos, sin = (table.unsqueeze(1) for table in angles)
    queries = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    torch.testing.assert_close(placed[0][0][:, :num_heads], queries, atol=1e-5, rtol=1e-5)
    assert torch.equal(placed[0][2][slots], heads[:, -num_kv_heads:])


def test_many_rows_are_shared_among_threads_and_have_the_bits_of_few() -> None:
    ops, x, weight = CpuOps(), torch.randn(1000, 96), torch.randn(96)
    normed, mixed = ops.rms_norm(x, weight, 1e-5), ops.swiglu(x)
    assert torch.equal(ops.rms_norm(x[500:507], weight, 1e-5), normed[500:507])
    assert torch.equal(ops.swiglu(x[500:507]), mixed[500:507])


def test_swiglu_of_extreme_gates_stays_finite() -> None:
    gate_up = torch.tensor([[-1e30, -200.0, -87.0, 0.0, 87.0, 1e30, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    expected = torch.tensor([[0.0, 0.0, 0.0, 0.0, 87.0, 1e30]])
    torch.testing.assert_close(CpuOps().swiglu(gate_up), expected, atol=1e-6, rtol=1e-6)


def test_rms_norm_is_the_formula() -> None:
    x, weight = torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 2.0])
    root = math.sqrt(12.5 + 0.5)
    expected = torch.tensor([[3 / root, 8 / root]])
    for ops in (TorchOps(), CpuOps()):
        torch.testing.assert_close(ops.rms_norm(x, weight, 0.5), expected)


def test_rotary_angles_are_position_times_frequency_however_far_the_table_has_grown() -> None:
    config = tiny_config(head_dim=8, max_position_embeddings=16, rope_theta=100.0)
    rotary = Rotary(config)
    positions = torch.tensor([0, 15, 16, 1000])
    cos, sin = rotary.rows(positions)
    for row, position in enumerate(positions.tolist()):
        for pair in range(4):
            angle = position * 100.0 ** (-pair / 4)
            assert cos[row, pair].item() == pytest.approx(math.cos(angle), abs=1e-4)
            assert sin[row, pair].item() == pytest.approx(math.sin(angle), abs=1e-4)


def test_torch_takes_over_with_a_log_line_where_kernels_do_not_compile(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ImportError("no numba")

    assert best_ops().name == "cpu"
    monkeypatch.setattr("runtime.model.layers._kernels", broken)
    assert best_ops().name == "torch"
    assert "no numba" in caplog.text
