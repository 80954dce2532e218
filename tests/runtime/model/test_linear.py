"""Weight formats against plain products."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ConfigError
from runtime.model.linear import WEIGHT_FORMATS, PackedLinear, TorchLinear, make_linear, resolve_weight_format

ATOL = {"int8": 1e-5, "blocks": 1e-5, "float32": 1e-5, "float32-torch": 1e-5, "bfloat16": 5e-2, "fp16": 5e-3}


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("name", WEIGHT_FORMATS)
def test_every_format_multiplies(name: str, with_bias: bool) -> None:
    weight, x = torch.randn(70, 40) / 40**0.5, torch.randn(9, 40)
    bias = torch.randn(70) if with_bias else None
    linear = make_linear(name, weight, bias)
    expected = torch.nn.functional.linear(x, weight, bias)
    assert (linear.in_features, linear.out_features) == (40, 70)
    torch.testing.assert_close(linear(x), expected, atol=ATOL[name], rtol=0)
    assert linear(x[:0]).shape == (0, 70)
    residual = torch.randn(9, 70)
    total = residual + expected
    linear.add_to(residual, x)
    torch.testing.assert_close(residual, total, atol=ATOL[name], rtol=0)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 40), inner=st.integers(1, 90), outer=st.integers(1, 200), seed=st.integers(0, 99))
def test_packed_weights_of_any_shape_give_the_plain_product(rows: int, inner: int, outer: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, x = torch.randn(outer, inner, generator=generator), torch.randn(rows, inner, generator=generator)
    torch.testing.assert_close(PackedLinear(weight)(x), x @ weight.t(), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("outer", [96, 100])
def test_adding_in_place_of_a_whole_or_broken_number_of_panels(outer: int) -> None:
    weight, x, residual = torch.randn(outer, 30), torch.randn(5, 30), torch.randn(5, outer)
    expected = residual + x @ weight.t()
    PackedLinear(weight).add_to(residual, x)
    torch.testing.assert_close(residual, expected, atol=1e-4, rtol=1e-5)


def test_a_row_has_the_same_bits_alone_and_in_a_batch_of_any_size() -> None:
    linear, x = PackedLinear(torch.randn(576, 192)), torch.randn(70, 192)
    whole = linear(x)
    for first, end in ((0, 1), (5, 6), (3, 20), (69, 70), (10, 43)):
        assert torch.equal(linear(x[first:end]), whole[first:end])


@pytest.mark.parametrize("kind", [PackedLinear, TorchLinear])
def test_rows_gives_the_weight_back(kind: type[PackedLinear] | type[TorchLinear]) -> None:
    weight = torch.randn(150, 20)
    indices = torch.tensor([149, 0, 47, 48, 0])
    rows = kind(weight).rows(indices)
    assert torch.equal(rows, weight[indices])
    assert rows.is_contiguous()


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"weight_format='int3' is not allowed: one of auto, int8, blocks, float32"):
        resolve_weight_format("int3")


def test_auto_takes_the_first_format_that_compiles_with_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ImportError("no numba")

    assert resolve_weight_format("auto") == "float32"
    assert resolve_weight_format("auto", {3, 8}) == "int8"
    monkeypatch.setattr("runtime.model.linear.dot_kernel", lambda kind: broken())
    assert resolve_weight_format("auto", {3, 8}) == "blocks"
    monkeypatch.setattr("runtime.model.linear.block_kernel", lambda kind: broken())
    assert resolve_weight_format("auto", {3, 8}) == "float32"
    with pytest.raises(ConfigError, match=r"weight_format='blocks': .*no numba"):
        resolve_weight_format("blocks", {3})
    monkeypatch.setattr("runtime.model.linear.packed_kernel", broken)
    assert resolve_weight_format("auto", {3, 8}) == "float32-torch"
    assert "no numba" in caplog.text
    with pytest.raises(ConfigError, match="no numba"):
        resolve_weight_format("float32")
