"""Info: `sgdsl info`."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sgdsl.cli.errors import UsageError

__all__ = ["info"]

PACKAGES = ("sgdsl", "torch", "transformers", "tokenizers", "numba", "outlines-core", "triton")


def info(options: argparse.Namespace) -> int:
    """Prints versions, machine and models; with `options.ledger`, what a server holds in memory."""
    if options.ledger:
        from sgdsl.cli.ledger import ledger

        return ledger(options)
    if options.url is not None:
        raise UsageError("--url goes with --ledger")
    facts = collect()
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    width = max(len(name) for name in facts)
    for name, fact in facts.items():
        print(f"{name:<{width}}  {_written(fact)}")
    return 0


def collect() -> dict[str, Any]:
    """Facts by name."""
    import torch

    from runtime.model.hub import BUILT_IN, cache_folder

    folder = cache_folder()
    default = BUILT_IN["smollm2"]
    held = default.cached_path(folder)
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "cache_folder": str(folder),
        "cached_models": sorted(path.name for path in (folder / "models").glob("*") if path.is_dir()),
        "default_model": default.name,
        "default_model_present": held.is_file() and held.stat().st_size == default.size,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _written(fact: object) -> str:
    if isinstance(fact, dict):
        return ", ".join(f"{name} {one}" for name, one in fact.items())
    if isinstance(fact, list):
        return ", ".join(map(str, fact)) or "none"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return "none" if fact is None else str(fact)
