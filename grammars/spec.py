"""Specs: what a text must look like, as plain immutable values.

A spec knows nothing of tokens or models; `grammars.compiler` turns it into a `Grammar` for a vocabulary.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from grammars.errors import InvalidSpec
from grammars.spec_fields import check_flag, check_one_of, check_text, check_tuple

__all__ = [
    "AnyOf",
    "Choice",
    "Formats",
    "FreeText",
    "Gbnf",
    "JsonObject",
    "JsonSchema",
    "KeyOrder",
    "Lark",
    "Part",
    "Regex",
    "Repeat",
    "Sequence",
    "Spec",
    "SpecialToken",
    "Stop",
    "StructuralTag",
    "Suffix",
    "Tag",
    "Unsatisfiable",
    "Whitespace",
]

Whitespace: TypeAlias = Literal["fixed", "compact", "flexible"]
WHITESPACES: tuple[Whitespace, ...] = ("fixed", "compact", "flexible")
KeyOrder: TypeAlias = Literal["schema", "any"]
Formats: TypeAlias = Literal["assert", "annotate"]
Unsatisfiable: TypeAlias = Literal["error", "empty"]


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole text matches `pattern` (Python's syntax, full match).

    Raises:
        InvalidSpec: the pattern is not a string.
    """

    pattern: str

    def __post_init__(self) -> None:
        check_text("regex", self.pattern, empty=True)


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
        if not isinstance(self.options, tuple):
            raise InvalidSpec(f"choice: {self.options!r} is not a tuple of strings")
        for option in self.options:
            check_text("choice", option)


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The text is a JSON document valid under `schema` (JSON text of a JSON Schema; see `of`).

    Args:
        schema: JSON text of an object or a boolean.
        whitespace: "fixed" writes `, ` and `: ` as models do, "compact" writes none, "flexible" allows runs of at
            most 8 JSON whitespace characters.
        key_order: "schema" has declared properties in the schema's order, optional ones skippable, others behind
            them; "any" has every order a validator accepts.
        formats: "assert" holds `format` to what it says, "annotate" ignores it.
        unsatisfiable: what a schema that no value satisfies makes: "error" (InvalidSpec) or "empty" (a grammar that
            accepts no text).

    Raises:
        InvalidSpec: the schema is not JSON, not an object or boolean, or a policy is unknown.
    """

    schema: str
    whitespace: Whitespace = "fixed"
    key_order: KeyOrder = "schema"
    formats: Formats = "assert"
    unsatisfiable: Unsatisfiable = "error"

    def __post_init__(self) -> None:
        check_one_of("whitespace", self.whitespace, WHITESPACES)
        check_one_of("key_order", self.key_order, get_args(KeyOrder))
        check_one_of("formats", self.formats, get_args(Formats))
        check_one_of("unsatisfiable", self.unsatisfiable, get_args(Unsatisfiable))
        try:
            parsed = json.loads(self.schema)
        except (TypeError, ValueError) as error:
            raise InvalidSpec(f"json_schema: not JSON: {error}") from error
        except RecursionError:
            raise InvalidSpec("json_schema: nested too deeply") from None
        if not isinstance(parsed, dict | bool):
            raise InvalidSpec(f"json_schema: {parsed!r} is neither an object nor a boolean")

    @classmethod
    def of(
        cls,
        schema: str | dict[str, Any] | bool,
        whitespace: Whitespace = "fixed",
        *,
        key_order: KeyOrder = "schema",
        formats: Formats = "assert",
        unsatisfiable: Unsatisfiable = "error",
    ) -> JsonSchema:
        """Makes a spec from JSON text or from a schema as Python objects; raises InvalidSpec where it is neither."""
        try:
            text = schema if isinstance(schema, str) else json.dumps(schema)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidSpec(f"json_schema: not JSON: {error}") from error
        return cls(text, whitespace, key_order, formats, unsatisfiable)


@dataclass(frozen=True, slots=True)
class JsonObject:
    """The text is any JSON object.

    Raises:
        InvalidSpec: the whitespace policy is unknown.
    """

    whitespace: Whitespace = "fixed"

    def __post_init__(self) -> None:
        check_one_of("whitespace", self.whitespace, WHITESPACES)

    def schema(self) -> JsonSchema:
        """The same as a schema."""
        return JsonSchema('{"type": "object"}', self.whitespace)


@dataclass(frozen=True, slots=True)
class Lark:
    """The text is derived from rule `start` of a grammar in Lark's syntax.

    Every terminal takes what Python's `re` would take there, as with `lark.Lark(text, lexer="dynamic")`. Beyond Lark's
    syntax, `%json {…}` stands for a document of a JSON schema and `<|name|>` for a special token.

    Raises:
        InvalidSpec: the text is not a non-empty string; that the grammar does not parse shows when it is compiled.
    """

    text: str

    def __post_init__(self) -> None:
        check_text("lark", self.text)


@dataclass(frozen=True, slots=True)
class Gbnf:
    """The text is derived from rule `root` of a grammar in GBNF (llama.cpp's dialect, and xgrammar's EBNF).

    Raises:
        InvalidSpec: the text or the root is not a non-empty string.
    """

    text: str
    root: str = "root"

    def __post_init__(self) -> None:
        check_text("gbnf", self.text)
        check_text("root", self.root)


@dataclass(frozen=True, slots=True)
class FreeText:
    """Any text in which none of `excludes` occurs; raises InvalidSpec where one of these is empty."""

    excludes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_tuple("excludes", self.excludes, least=0)
        for text in self.excludes:
            check_text("excludes", text)


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """One special token of the vocabulary, by its text (`<|im_end|>`); raises InvalidSpec for an empty one."""

    name: str

    def __post_init__(self) -> None:
        check_text("special_token", self.name)


@dataclass(frozen=True, slots=True)
class Stop:
    """Text up to and including the first of `stops` that occurs; what stands before it matches `spec`, if given.

    `spec` may be a `Regex`, a `Choice` or `FreeText`; anything else is refused when compiled (see `Suffix`).

    Raises:
        InvalidSpec: there is no stop, one is empty or no string, or `spec` is no spec.
    """

    stops: tuple[str, ...]
    spec: Spec | None = None

    def __post_init__(self) -> None:
        check_tuple("stops", self.stops)
        for text in self.stops:
            check_text("stops", text)
        if self.spec is not None:
            _spec("spec", self.spec)


@dataclass(frozen=True, slots=True)
class Suffix:
    """`spec`, then exactly `suffix`, which `spec` may contain as well.

    Raises:
        InvalidSpec: `spec` is no spec, or the suffix is empty or no string.
    """

    spec: Spec
    suffix: str

    def __post_init__(self) -> None:
        _spec("spec", self.spec)
        check_text("suffix", self.suffix)


@dataclass(frozen=True, slots=True)
class Sequence:
    """`parts` one after another; a string stands for itself.

    Raises:
        InvalidSpec: there is no part, or one that is neither a spec nor a non-empty string.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        check_tuple("parts", self.parts)
        for part in self.parts:
            if isinstance(part, str):
                check_text("parts", part)
            else:
                _spec("parts", part)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any one of `options`.

    Raises:
        InvalidSpec: there is no option, or one that is no spec.
    """

    options: tuple[Spec, ...]

    def __post_init__(self) -> None:
        check_tuple("options", self.options)
        for option in self.options:
            _spec("options", option)


@dataclass(frozen=True, slots=True)
class Repeat:
    """`spec`, `low` to `high` times; without end when `high` is None.

    Raises:
        InvalidSpec: `spec` is no spec, or not 0 <= low <= high.
    """

    spec: Spec
    low: int = 0
    high: int | None = None

    def __post_init__(self) -> None:
        _spec("spec", self.spec)
        for field, bound in (("low", self.low), ("high", self.high)):
            if (bound is None and field == "low") or isinstance(bound, bool) or not isinstance(bound, int | None):
                raise InvalidSpec(f"{field}: {bound!r} is not an integer")
        if self.low < 0 or (self.high is not None and self.high < self.low):
            raise InvalidSpec(f"low, high: {self.low}, {self.high} are not 0 <= low <= high")


@dataclass(frozen=True, slots=True)
class Tag:
    """What a structural tag is made of: `begin`, a body, and one of `ends`.

    A body of None is any text up to the first of `ends`.

    Raises:
        InvalidSpec: a text is empty or no string (an end may be empty where there is a body), or the body is no spec.
    """

    begin: str
    body: Spec | None
    ends: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text("begin", self.begin)
        check_tuple("ends", self.ends)
        for end in self.ends:
            check_text("ends", end, empty=self.body is not None)
        if self.body is not None:
            _spec("body", self.body)


@dataclass(frozen=True, slots=True)
class StructuralTag:
    """Free text; where one of `triggers` is complete, a tag beginning with it must follow; then free text again.

    Args:
        tags: what may be called; each `begin` starts with a trigger.
        triggers: texts that free text cannot contain without starting a tag.
        at_least_one: the text begins with a tag.
        stop_after_first: the text ends with the first tag.
        excludes: texts that free text cannot contain at all.

    Raises:
        InvalidSpec: there is no tag or trigger, a tag begins with no trigger, or a trigger begins no tag.
    """

    tags: tuple[Tag, ...]
    triggers: tuple[str, ...]
    at_least_one: bool = False
    stop_after_first: bool = False
    excludes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_tuple("tags", self.tags)
        check_tuple("triggers", self.triggers)
        check_tuple("excludes", self.excludes, least=0)
        check_flag("at_least_one", self.at_least_one)
        check_flag("stop_after_first", self.stop_after_first)
        for text in (*self.triggers, *self.excludes):
            check_text("triggers, excludes", text)
        for tag in self.tags:
            if not isinstance(tag, Tag):
                raise InvalidSpec(f"tags: {tag!r} is not a Tag")
            if not tag.begin.startswith(self.triggers):
                raise InvalidSpec(
                    f"begin: {tag.begin!r} starts with none of the triggers {', '.join(map(repr, self.triggers))}"
                )
        for trigger in self.triggers:
            if not any(tag.begin.startswith(trigger) for tag in self.tags):
                raise InvalidSpec(f"triggers: {trigger!r} begins no tag")

    @staticmethod
    def of(shape: str | dict[str, Any]) -> Spec:
        """Reads the JSON that clients send as a `structural_tag`, as text or Python objects.

        That is `{"structures": [{"begin", "schema", "end"}], "triggers": […]}` or `{"format": {"type": …}}`.

        Raises:
            InvalidSpec: a field is missing or of the wrong type.
            UnsupportedConstraint: a format that is not known here.
        """
        from grammars.cfg.tag_shapes import spec_of_shape  # read only when asked for

        return spec_of_shape(shape)


def _spec(field: str, value: object) -> None:
    if not isinstance(value, Spec):
        raise InvalidSpec(f"{field}: {value!r} is not a spec")


Spec: TypeAlias = (
    Regex
    | Choice
    | JsonSchema
    | JsonObject
    | Lark
    | Gbnf
    | FreeText
    | SpecialToken
    | Stop
    | Suffix
    | Sequence
    | AnyOf
    | Repeat
    | StructuralTag
)
Part: TypeAlias = Spec | str
