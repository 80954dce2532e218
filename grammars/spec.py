"""Specs: what a text must look like, as plain immutable values.

A spec knows nothing of tokens or models; `grammars.compiler` turns it into a `Grammar` for a vocabulary.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from grammars.errors import InvalidSpec

__all__ = ["Choice", "JsonSchema", "Regex", "Spec", "Whitespace"]

Whitespace: TypeAlias = Literal["fixed", "compact", "flexible"]
WHITESPACES: tuple[Whitespace, ...] = ("fixed", "compact", "flexible")


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole text matches `pattern` (Python's syntax, full match).

    Raises:
        InvalidSpec: the pattern is not a string.
    """

    pattern: str

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str):
            raise InvalidSpec(f"regex: {self.pattern!r} is not a string")


@dataclass(frozen=True, slots=True)
class Choice:
    """The text is exactly one of `options`.

    Raises:
        InvalidSpec: there is no option, or one that is not a string or is empty.
    """

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise InvalidSpec("choice: at least one option is needed")
        for option in self.options:
            if not isinstance(option, str) or not option:
                raise InvalidSpec(f"choice: {option!r} is not a non-empty string")


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The text is a JSON document valid under `schema` (JSON text of a JSON Schema; see `of`).

    `whitespace`: "fixed" writes `, ` and `: ` as models do, "compact" writes none, "flexible" allows runs of at
    most 8 JSON whitespace characters.

    Raises:
        InvalidSpec: the schema is not JSON, not an object or boolean, or the whitespace policy is unknown.
    """

    schema: str
    whitespace: Whitespace = "fixed"

    def __post_init__(self) -> None:
        if self.whitespace not in WHITESPACES:
            raise InvalidSpec(f"whitespace: {self.whitespace!r} is not one of {', '.join(WHITESPACES)}")
        try:
            parsed = json.loads(self.schema)
        except (TypeError, ValueError) as error:
            raise InvalidSpec(f"json_schema: not JSON: {error}") from error
        if not isinstance(parsed, dict | bool):
            raise InvalidSpec(f"json_schema: {parsed!r} is neither an object nor a boolean")

    @classmethod
    def of(cls, schema: str | dict[str, Any] | bool, whitespace: Whitespace = "fixed") -> JsonSchema:
        """Makes a spec from JSON text or from a schema as Python objects."""
        return cls(schema if isinstance(schema, str) else json.dumps(schema), whitespace)


Spec: TypeAlias = Regex | Choice | JsonSchema
