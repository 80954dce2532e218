"""Config file: settings in TOML: the engine's in a table `[engine]`, the server's in a table `[serve]`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdsl.cli.errors import UsageError

__all__ = ["ConfigFile", "read_config", "written_config"]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a config file holds, unchecked.

    Attributes:
        engine: settings of the engine, flat.
        serve: settings of `sgdsl serve`; other commands leave them alone.
    """

    engine: Mapping[str, Any]
    serve: Mapping[str, Any]


def read_config(path: Path) -> ConfigFile:
    """The settings of a config file.

    Raises:
        UsageError: it cannot be read, has neither `[engine]` nor `[serve]`, or holds something besides.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from None
    tables = {name: content.pop(name) for name in ("engine", "serve") if name in content}
    if content or not tables or not all(isinstance(table, dict) for table in tables.values()):
        other = f"{min(content)!r} is not allowed: " if content else ""
        raise UsageError(f"--config {path}: {other}a table [engine] with settings is needed, or [serve], or both")
    return ConfigFile(tables.get("engine", {}), tables.get("serve", {}))


def written_config(settings: Mapping[str, Any], comments: Sequence[str]) -> str:
    """The text of a config file with settings of the engine."""
    lines = [*(f"# {line}" for line in comments), "[engine]"]
    return "\n".join([*lines, *(f"{name} = {_written(value)}" for name, value in settings.items())]) + "\n"


def _written(value: object) -> str:
    """A value as TOML has it: of text, numbers and truth values JSON's form is one of TOML's."""
    return json.dumps(value, ensure_ascii=False)
