"""The JSON that clients send as a structural tag.

Two shapes are in use: `{"structures": [{"begin", "schema", "end"}], "triggers": […]}`, and `{"format": …}` with formats
inside formats (https://xgrammar.mlc.ai/docs/structural_tag/structural_tag.html).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.spec import (
    AnyOf,
    FreeText,
    Gbnf,
    JsonSchema,
    Regex,
    Repeat,
    Sequence,
    Spec,
    SpecialToken,
    StructuralTag,
    Tag,
)

__all__ = ["spec_of_shape"]

_Kind = TypeVar("_Kind")


def spec_of_shape(shape: str | Mapping[str, Any]) -> Spec:
    """Reads a structural tag, as JSON text or Python objects; see `grammars.spec.StructuralTag.of`.

    Raises:
        InvalidSpec: a field is missing or of the wrong type.
        UnsupportedConstraint: a format that is not known here.
        GrammarLimit: formats are nested too deeply.
    """
    if isinstance(shape, str):
        try:
            shape = json.loads(shape)
        except ValueError as error:
            raise InvalidSpec(f"structural_tag: not JSON: {error}") from error
        except RecursionError:
            raise GrammarLimit("structural_tag: nested too deeply") from None
    whole = _Shape(shape, "")
    try:
        return _format(whole.child("format")) if whole.has("format") else _structures(whole)
    except RecursionError:
        raise GrammarLimit("structural_tag: nested too deeply") from None


class _Shape:
    """A JSON object and where it stands."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidSpec(f"structural_tag: {path or '/'}: {value!r} is not an object")
        self.path = path
        self._value = value

    def has(self, field: str) -> bool:
        return self._value.get(field) is not None

    def get(self, field: str, kind: type[_Kind], default: _Kind | None = None) -> _Kind:
        value = self._value.get(field)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InvalidSpec(f"structural_tag: {self.path}/{field}: {value!r} is not of type {kind.__name__}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        texts = self.get(field, list, [])
        for text in texts:
            if not isinstance(text, str):
                raise InvalidSpec(f"structural_tag: {self.path}/{field}: {text!r} is not a string")
        return tuple(texts)

    def child(self, field: str) -> _Shape:
        return _Shape(self._value.get(field), f"{self.path}/{field}")

    def children(self, field: str) -> list[_Shape]:
        items = self.get(field, list)
        return [_Shape(item, f"{self.path}/{field}/{index}") for index, item in enumerate(items)]

    def schema(self, field: str) -> JsonSchema:
        schema = self._value.get(field)
        if not isinstance(schema, dict | bool):
            raise InvalidSpec(f"structural_tag: {self.path}/{field}: {schema!r} is no JSON schema")
        return JsonSchema.of(schema, key_order="any" if self.get("any_order", bool, False) else "schema")

    def refuse(self, *fields: str) -> None:
        """Raises where a field is used that cannot be held to."""
        for field in fields:
            if self._value.get(field):
                raise UnsupportedConstraint(field, self.path, "not supported in a structural tag")


def _structures(shape: _Shape) -> Spec:
    structures = shape.children("structures")
    tags = tuple(
        Tag(structure.get("begin", str), structure.schema("schema"), (structure.get("end", str),))
        for structure in structures
    )
    return StructuralTag(tags, shape.texts("triggers"))


def _format(shape: _Shape) -> Spec:
    kind = shape.get("type", str)
    reader = READERS.get(kind)
    if reader is None:
        raise UnsupportedConstraint(f"format {kind}", shape.path, f"known formats are {', '.join(READERS)}")
    return reader(shape)


def _any_text(shape: _Shape) -> Spec:
    shape.refuse("max_tokens", "max_chars")
    return FreeText(shape.texts("excludes"))


def _json_schema(shape: _Shape) -> Spec:
    if shape.get("style", str, "json") != "json":
        raise UnsupportedConstraint("style", shape.path, "only json is supported")
    shape.refuse("excludes", "max_whitespace_cnt")
    return shape.schema("json_schema")


def _token(shape: _Shape) -> Spec:
    if isinstance(shape.get("token", object), int):
        raise UnsupportedConstraint("token", shape.path, "tokens go by their text")
    return SpecialToken(shape.get("token", str))


def _sequence(shape: _Shape) -> Spec:
    return Sequence(tuple(map(_format, shape.children("elements"))))


def _or(shape: _Shape) -> Spec:
    return AnyOf(tuple(map(_format, shape.children("elements"))))


def _repeat(shape: _Shape) -> Spec:
    high = shape.get("max", int)
    return Repeat(_format(shape.child("content")), shape.get("min", int), None if high == -1 else high)


def _tag(shape: _Shape) -> Tag:
    content = shape.child("content")
    begin = shape.get("begin", str)
    ends = shape.texts("end") if isinstance(shape.get("end", object), list) else (shape.get("end", str),)
    if content.get("type", str) == "any_text" and all(ends):
        content.refuse("excludes", "max_tokens", "max_chars")
        return Tag(begin, None, ends)
    return Tag(begin, _format(content), ends)


def _tag_alone(shape: _Shape) -> Spec:
    tag = _tag(shape)
    return StructuralTag((tag,), (tag.begin,), at_least_one=True, stop_after_first=True)


def _triggered_tags(shape: _Shape) -> Spec:
    return StructuralTag(
        tuple(map(_tag, shape.children("tags"))),
        shape.texts("triggers"),
        shape.get("at_least_one", bool, False),
        shape.get("stop_after_first", bool, False),
        shape.texts("excludes"),
    )


def _tags_with_separator(shape: _Shape) -> Spec:
    tag = AnyOf(tuple(map(_tag_alone, shape.children("tags"))))
    separator = shape.get("separator", str)
    further = Sequence((separator, tag)) if separator else tag
    tags: Spec = tag if shape.get("stop_after_first", bool, False) else Sequence((tag, Repeat(further)))
    return tags if shape.get("at_least_one", bool, False) else Repeat(tags, 0, 1)


READERS: Mapping[str, Callable[[_Shape], Spec]] = {
    "const_string": lambda shape: Sequence((shape.get("value", str),)),
    "json_schema": _json_schema,
    "any_text": _any_text,
    "regex": lambda shape: Regex(shape.get("pattern", str)),
    "grammar": lambda shape: Gbnf(shape.get("grammar", str)),
    "token": _token,
    "sequence": _sequence,
    "or": _or,
    "optional": lambda shape: Repeat(_format(shape.child("content")), 0, 1),
    "star": lambda shape: Repeat(_format(shape.child("content"))),
    "plus": lambda shape: Repeat(_format(shape.child("content")), 1),
    "repeat": _repeat,
    "tag": _tag_alone,
    "triggered_tags": _triggered_tags,
    "tags_with_separator": _tags_with_separator,
}
