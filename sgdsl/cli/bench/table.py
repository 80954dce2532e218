"""Table: figures as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sgdsl.cli.bench.result import Result, Spread

__all__ = ["compared", "lines"]

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


def compared(own: Result, others: Sequence[Result]) -> list[str]:
    """Runs side by side, and by how many times the first is better than each other."""
    runs = (own, *others)
    width = max(10, *(len(one.label) for one in runs)) + 2
    out = [f"{'':<20}" + "".join(f"{one.label:>{width}}" for one in runs)]
    out.append(_row("requests/s", [one.requests_per_second for one in runs], width, ".2f", more_is_better=True))
    out.append(_row("new tokens/s", [one.new_tokens_per_second for one in runs], width, ".1f", more_is_better=True))
    shares = [None if one.cached_share is None else 100 * one.cached_share for one in runs]
    out.append(f"{'  cached, %':<20}" + "".join(_cell(share, width, ".1f") for share in shares))
    for title, name in SPREADS:
        if name == "inter_token_seconds":  # how servers cut their answers into pieces is theirs
            continue
        spreads: list[Spread | None] = [getattr(one, name) for one in runs]
        for column in ("p50", "p99"):
            found = [None if one is None else 1000 * getattr(one, column) for one in spreads]
            out.append(_row(f"{title} {column}, ms", found, width, ".1f", more_is_better=False))
    return out


def _row(title: str, values: Sequence[float | None], width: int, form: str, *, more_is_better: bool) -> str:
    own, *others = values
    line = f"  {title:<18}" + "".join(_cell(value, width, form) for value in values)
    ratios = [f"{(own / other if more_is_better else other / own):.2f}x" if own and other else "-" for other in others]
    return f"{line}   {' '.join(ratios)}"


def _cell(value: float | None, width: int, form: str) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}{form}}"


def _number(value: float | None, form: str) -> str:
    return f"{value:>{form}}" if value is not None else f"{'-':>10}"
