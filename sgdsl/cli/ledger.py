"""Ledger: `sgdsl info --ledger`: who owns the KV pool of a server that runs, and who holds what of it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from sgdsl.cli.errors import CommandError
from sgdsl.errors import EndpointError

__all__ = ["ledger"]

DEFAULT_URL = "http://127.0.0.1:30000"
NUM_NODES = 20


def ledger(options: argparse.Namespace) -> int:
    """Prints the ledger of the server at `options.url`.

    Raises:
        CommandError: it cannot be reached.
    """
    from sgdsl.backends.server_question import ask_server

    url = options.url or DEFAULT_URL
    try:
        found = ask_server(url, f"/cache?limit={NUM_NODES}&characters=60", os.environ.get("SGDSL_API_KEY"))
    except EndpointError as error:
        raise CommandError(f"--url: {error}") from error
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join(_sections(found)))
    return 0


def _sections(found: Mapping[str, Any]) -> list[str]:
    table = found["ledger"]
    total = max(1, table["total"])
    owners = [(owner, slots, f"{slots / total:.1%}") for owner, slots in table.items()]
    sections = [_table(("owner", "slots", "share"), owners)]
    tree = f"{found['evictable_tokens']} of the tree's tokens can be evicted, {found['protected_tokens']} are in use"
    sections.append(tree)
    holders = [
        (
            one["program"] or "-",
            one["namespace"] or "-",
            one["owner"],
            one["num_tokens"],
            one["private_pages"],
            one["shared_pages"],
        )
        for one in found["holders"]
    ]
    if holders:
        header = ("program", "namespace", "holder", "tokens", "own pages", "tree pages")
        sections.append(_table(header, holders))
    pins = [(one["name"], one["num_tokens"], f"{one['seconds_left']:.0f} s") for one in found["pins"]]
    if pins:
        sections.append(_table(("pin", "tokens", "left"), pins))
    nodes = [
        (one["start"], one["num_tokens"], one["locks"], one["hits"], one["namespace"] or "-", json.dumps(one["text"]))
        for one in found["nodes"]
    ]
    if nodes:
        sections.append(_table(("from", "tokens", "locks", "hits", "namespace", "prefix, the last used first"), nodes))
    return sections


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns; numbers to the right, the last one as long as it is."""
    written = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(len(row[place]) for row in written) for place in range(len(header))]
    numeric = [all(isinstance(row[place], int) for row in rows) for place in range(len(header))]
    lines = []
    for row in written:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
