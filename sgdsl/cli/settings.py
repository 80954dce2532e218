"""Settings: `--config`, `--model` and `--set key=value` become settings of the engine."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgdsl.cli.config_file import read_config
from sgdsl.cli.conversion import convert
from sgdsl.cli.errors import UsageError

__all__ = ["engine_settings"]


def engine_settings(model: str | None, assignments: Sequence[str], config: str | None = None) -> dict[str, Any]:
    """Flat engine settings, converted to the types `runtime.config` gives them, and checked.

    Args:
        config: a config file; what the command line says goes before it.

    Raises:
        UsageError: the file cannot be read, no `=`, an unknown name, a name given twice, or a value that is not
            allowed.
    """
    from runtime.config import EngineConfig
    from runtime.errors import ConfigError

    known = _types()
    settings: dict[str, Any] = {} if model is None else {"model": model}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: key=value is needed, such as page_size=1")
        if key not in known:
            raise UsageError(f"--set {assignment}: no setting {key!r}; there are {', '.join(sorted(known))}")
        if key in settings:
            raise UsageError(f"--set {assignment}: {key} is given twice")
        try:
            settings[key] = convert(text, known[key])
        except ValueError as error:
            raise UsageError(f"--set {key}: {error}") from None
    if config is not None:
        settings = {**read_config(Path(config)).engine, **settings}
    try:
        EngineConfig.of(settings)
    except ConfigError as error:
        raise UsageError(f"{'--set' if config is None else f'--config {config}'}: {error}") from None
    return settings


def _types() -> dict[str, Any]:
    """Every setting's name and type."""
    from runtime import config

    groups = (config.ModelSettings, config.MemoryConfig, config.SchedulerConfig, config.GrammarConfig)
    found = {name: hint for group in groups for name, hint in typing.get_type_hints(group).items()}
    return found | {"audit": config.Audit}
