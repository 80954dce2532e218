"""Config file: engine settings in TOML, in a table `[engine]`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdsl.cli.errors import UsageError

__all__ = ["read_config", "written_config"]


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a config file.

    Raises:
        UsageError: it cannot be read, or holds something besides `[engine]`.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from None
    engine = content.pop("engine", None)
    if content or not isinstance(engine, dict):
        other = f"{min(content)!r} is not allowed: " if content else ""
        raise UsageError(f"--config {path}: {other}a table [engine] with settings is needed, and nothing else")
    return engine


def written_config(settings: Mapping[str, Any], comments: Sequence[str]) -> str:
    """The text of a config file."""
    lines = [*(f"# {line}" for line in comments), "[engine]"]
    return "\n".join([*lines, *(f"{name} = {_written(value)}" for name, value in settings.items())]) + "\n"


def _written(value: object) -> str:
    """A value as TOML has it: of text, numbers and truth values JSON's form is one of TOML's."""
    return json.dumps(value, ensure_ascii=False)
