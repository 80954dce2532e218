"""Tune: `sgdsl tune`. A rising load on an engine, what that came to, and the settings it speaks for."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdsl.cli import logs
from sgdsl.cli.config_file import written_config
from sgdsl.cli.errors import CommandError, UsageError
from sgdsl.cli.settings import engine_settings
from sgdsl.cli.tuning.advice import Advice, advise
from sgdsl.cli.tuning.prompts import Prompt, longest, read, synthetic
from sgdsl.cli.tuning.rise import Level, levels_up_to, rise

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["tune"]

SIGNATURE = "Recommended by sgdsl tune"
TABLE, PICTURE, CONFIG = "tune.json", "tune.png", "sgdsl.toml"
HEADING = f"{'requests':>8}{'tokens/s':>10}{'queue s':>10}{'first token s':>15}{'KV use':>8}  limited by"


def tune(options: argparse.Namespace) -> int:
    """Measures, prints and saves; returns the exit code.

    Raises:
        CommandError: it cannot begin, or a prompt cannot be served.
    """
    folder = _folder(options)
    settings = engine_settings(options.model, options.settings, options.config)
    logs.set_up(verbose=options.verbose, quiet=options.quiet)
    prompts = None if options.prompts is None else read(Path(options.prompts), options.new_tokens)
    from runtime.engine import Engine
    from runtime.errors import ConfigError, EngineError

    try:
        with Engine(**settings) as engine:
            levels, machine = _measure(engine, prompts, options)
            pool = engine.stats()["ledger"]["total"]
    except ConfigError as error:
        raise UsageError(f"--set: {error}") from error
    except EngineError as error:
        raise CommandError(str(error)) from error
    advice = advise(levels, {"model": "smollm2", **settings}, pool, machine["settings"]["context_length"]["became"])
    _save(folder, levels, advice, machine, options)
    return 0


def _folder(options: argparse.Namespace) -> Path:
    """Where files go; what somebody else wrote there is not overwritten."""
    for name in ("max_concurrency", "prompt_tokens", "new_tokens"):
        if getattr(options, name) < 1:
            written = "--" + name.replace("_", "-")
            raise UsageError(f"{written} {getattr(options, name)}: a number of at least 1 is needed")
    if not 0 < options.seconds < math.inf:
        raise UsageError(f"--seconds {options.seconds}: a number above 0 is needed")
    if options.backend != "engine":
        raise UsageError(f"--backend {options.backend}: there is nothing to tune but an engine")
    folder = Path(options.output)
    config = folder / CONFIG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if config.exists() and not config.read_text(encoding="utf-8").startswith(f"# {SIGNATURE}"):
            raise UsageError(f"{config} is there and not from here: --output FOLDER takes the files elsewhere")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--output {folder}: {error}") from None
    return folder


def _measure(
    engine: Engine, prompts: Iterator[Prompt] | None, options: argparse.Namespace
) -> tuple[list[Level], Mapping[str, Any]]:
    """The rise, each level printed when it is over, and what it was measured on."""
    info = engine.server_info()
    if prompts is None:
        needed = longest(options.prompt_tokens) + longest(options.new_tokens)
        room = min(info["settings"][name]["became"] for name in ("context_length", "max_total_tokens"))
        if needed > room:
            raise UsageError(
                f"--prompt-tokens {options.prompt_tokens} and --new-tokens {options.new_tokens} come to {needed} "
                f"tokens at most, but a sequence has room for {room}"
            )
        vocab_size = engine.tokenizer.vocab_size
        prompts = synthetic(vocab_size, options.prompt_tokens, options.new_tokens, options.seed)
    tell = (lambda _: None) if options.json else lambda level: print(_row(level), flush=True)
    _say(f"{info['model']}: up to {len(levels_up_to(options.max_concurrency))} levels", options)
    if not options.json:
        print(HEADING, flush=True)
    found = rise(engine, prompts, seconds=options.seconds, most=options.max_concurrency, tell=tell)
    return found, {name: info[name] for name in ("model", "weight_format", "attention", "threads", "settings")}


def _row(level: Level) -> str:
    return (
        f"{level.concurrency:>8}{level.tokens_per_second:>10.1f}{level.queue_seconds[0]:>10.3f}"
        f"{level.first_token_seconds[0]:>15.3f}{level.kv_use:>8.1%}  {level.limited_by or '-'}"
    )


def _save(
    folder: Path, levels: Sequence[Level], advice: Advice, machine: Mapping[str, Any], options: argparse.Namespace
) -> None:
    """Writes table, picture and config file, and says what they say."""
    found = {
        **machine,
        "cores": os.cpu_count(),
        "levels": [_plain(level) for level in levels],
        "recommended": dict(advice.settings),
        "reasons": list(advice.reasons),
    }
    line = f"{machine['model']}, {machine['weight_format']} weights, {machine['threads']} threads"
    pool = machine["settings"]["max_total_tokens"]["became"]
    try:
        (folder / TABLE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        (folder / CONFIG).write_text(
            written_config(advice.settings, [f"{SIGNATURE}: {line}", *advice.reasons]), encoding="utf-8"
        )
        files = [TABLE, CONFIG]
        if _is_drawn(levels, advice, [f"sgdsl tune: {line}", _load(options)], pool, folder, options):
            files.append(PICTURE)
    except OSError as error:
        raise CommandError(f"--output {folder}: {error}") from error
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print("\nrecommended", *(f"  {reason}" for reason in advice.reasons), sep="\n")
    print(f"saved {', '.join(str(folder / name) for name in files)}; sgdsl run --config {folder / CONFIG} uses it")


def _load(options: argparse.Namespace) -> str:
    """What the engine was loaded with, in words."""
    if options.prompts is not None:
        return f"prompts of {Path(options.prompts).name}"
    return f"synthetic prompts of about {options.prompt_tokens} tokens, {options.new_tokens} new ones each"


def _is_drawn(
    levels: Sequence[Level], advice: Advice, title: Sequence[str], pool: int, folder: Path, options: argparse.Namespace
) -> bool:
    from sgdsl.cli.tuning.picture import draw

    try:
        draw(levels, advice.level, title, pool, folder / PICTURE)
    except ImportError:
        _say('no picture: matplotlib is missing; pip install "sgdsl[tune]" brings it', options)
        return False
    return True


def _plain(level: Level) -> dict[str, Any]:
    """A level as JSON knows it, which has no number for what was not measured."""
    return {
        name: [None if math.isnan(one) else one for one in value] if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(level).items()
    }


def _say(line: str, options: argparse.Namespace) -> None:
    if not options.quiet:
        print(f"sgdsl: {line}", file=sys.stderr, flush=True)
