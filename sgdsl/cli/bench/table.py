"""Table: figures as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["lines"]

BUSY = 0.7
"""Of a core: beyond it the client's own work is in the figures."""
SPREADS = (
    ("first token", "first_token_seconds"),
    ("inter-token", "inter_token_seconds"),
    ("per token", "per_token_seconds"),
    ("request", "request_seconds"),
)


def lines(found: Mapping[str, Any]) -> list[str]:
    """What `sgdsl bench serve` prints."""
    cached = found["cached_share"]
    out = [
        f"{found['completed']} of {found['requests']} requests in {found['seconds']:.1f} s",
        f"  requests/s          {found['requests_per_second']:>10.2f}",
        f"  prompt tokens/s     {_number(found['prompt_tokens_per_second'], '10.1f')}"
        f"   {'cached: not told' if cached is None else f'{cached:.1%} cached'}",
        f"  new tokens/s        {found['new_tokens_per_second']:>10.1f}",
    ]
    goodput = found["goodput"]
    if goodput is not None:
        limits = {"first token": goodput["first_token_seconds"], "per token": goodput["per_token_seconds"]}
        kept = " and ".join(f"{name} ≤ {1000 * value:g} ms" for name, value in limits.items() if value is not None)
        share = "" if goodput["share"] is None else f"   {goodput['share']:.1%} keep {kept}"
        out.append(f"  good requests/s     {goodput['requests_per_second']:>10.2f}{share}")
    out.append(f"{'  milliseconds':<16}{'mean':>10}{'p50':>10}{'p90':>10}{'p99':>10}")
    for title, name in SPREADS:
        spread = found[name]
        if spread is not None:
            cells = "".join(f"{1000 * spread[column]:>10.1f}" for column in ("mean", "p50", "p90", "p99"))
            out.append(f"  {title:<14}{cells}")
    client = found["client"]
    note = "; it is a bottleneck, lower the load" if client["cores"] > BUSY else ""
    out.append(f"client: {client['cpu_seconds']:.2f} s of processor time, {client['cores']:.0%} of a core{note}")
    out += [f"failed: {count} × {kind}" for kind, count in found["errors"].items()]
    return out


def _number(value: float | None, form: str) -> str:
    return f"{value:>{form}}" if value is not None else f"{'-':>10}"
