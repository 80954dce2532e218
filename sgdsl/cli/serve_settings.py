"""ServeSettings: what `sgdsl serve` was told, on its command line and in the table `[serve]` of a config file."""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdsl.cli.config_file import read_config
from sgdsl.cli.errors import UsageError
from sgdsl.cli.serve_options import config_fields

if TYPE_CHECKING:
    from runtime.server.config import ServerConfig

__all__ = ["ServeSettings"]

_OWN: Mapping[str, Any] = types.MappingProxyType({"in_process": bool, "hang_seconds": float})
"""What is no setting of the HTTP server itself."""

_ALLOWED: Mapping[Any, str] = types.MappingProxyType(
    {int: "an integer", float: "a number", bool: "true or false", str: "text", tuple[str, ...]: "a list of texts"}
)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Settings of one server.

    Attributes:
        config: of HTTP.
        in_process: the engine shares the server's process.
        hang_seconds: an engine that gives no sign of life for so long is started anew; None for the usual time.
    """

    config: ServerConfig
    in_process: bool = False
    hang_seconds: float | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> ServeSettings:
        """What the command line says, and the config file where that says nothing.

        Raises:
            UsageError: naming the option, or the file and its setting, the value and what is allowed.
        """
        from runtime.errors import ConfigError
        from runtime.server.access.door import Door
        from runtime.server.config import ServerConfig

        given = config_fields(options)
        in_file = {} if options.config is None else _read(options.config)
        own = {name: in_file.pop(name) for name in _OWN if name in in_file}
        where = f"--config {options.config}: [serve]: "
        _check_hang(where, own)
        try:
            ServerConfig(**in_file)
        except ConfigError as error:
            raise UsageError(f"{where}{error}") from None
        said = {name: value for name in _OWN if (value := getattr(options, name)) is not None}
        _check_hang("--", said)
        try:
            config = ServerConfig(**{**in_file, **given})
            Door(config)  # a file of keys that is none is told before a model is loaded
        except ConfigError as error:
            raise UsageError(f"--{error}") from error
        return cls(config, **{**own, **said})


def _check_hang(where: str, own: Mapping[str, Any]) -> None:
    seconds = own.get("hang_seconds")
    if seconds is not None and not seconds > 0:
        raise UsageError(f"{where}hang_seconds={seconds:g} is not allowed: a number of seconds above 0")


def _read(path: str) -> dict[str, Any]:
    """The table `[serve]`, with every value of its setting's type."""
    from runtime.server.config import ServerConfig

    where = f"--config {path}: [serve]"
    return _typed(where, read_config(Path(path)).serve, {**typing.get_type_hints(ServerConfig), **_OWN})


def _typed(where: str, table: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in hints:
            raise UsageError(f"{where}: no setting {name!r}; there are {', '.join(sorted(hints))}")
        hint = hints[name]
        found[name] = _limits(where, name, value, hint) if _is_table(hint) else _value(where, name, value, hint)
    return found


def _is_table(hint: Any) -> bool:
    return hasattr(hint, "__dataclass_fields__")


def _limits(where: str, name: str, value: Any, kind: Any) -> Any:
    """A table within the table."""
    from runtime.errors import ConfigError

    if not isinstance(value, dict):
        allowed = ", ".join(field.name for field in fields(kind))
        raise UsageError(f"{where}: {name}={value!r} is not allowed: a table of {allowed}")
    try:
        return kind(**_typed(f"{where}: {name}", value, typing.get_type_hints(kind)))
    except ConfigError as error:
        raise UsageError(f"{where}: {name}: {error}") from None


def _value(where: str, name: str, value: Any, hint: Any) -> Any:
    import msgspec

    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    kind = kinds[0] if isinstance(hint, types.UnionType) else hint
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise UsageError(f"{where}: {name}={value!r} is not allowed: {_ALLOWED[kind]}") from None
