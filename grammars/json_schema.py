"""JSON Schema as one regex, its structure laid out by outlines-core's builder.

The builder sees only objects, arrays and alternatives: references are resolved, scalars and property names replaced
by marks before, and the marks by exact patterns afterwards. What cannot be enforced is named in the warnings.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

from grammars import json_scalars as scalars
from grammars.regular.charset import CharSet
from grammars.errors import GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.json_keywords import (
    ANNOTATIONS,
    KINDS,
    UNENFORCED,
    Schema,
    all_disjoint,
    check_shapes,
    is_of_type,
    merged,
    same_value,
    size_bounds,
    tighter_bound,
    types_of,
)
from grammars.outlines import MAX_REGEX_LENGTH, schema_regex
from grammars.regular.pattern import Characters, Repetition, parse_pattern
from grammars.spec import JsonSchema, Whitespace

__all__ = ["SchemaPattern", "pattern_of_schema"]

MAX_SCHEMA_LENGTH = 200_000
MAX_SUBSCHEMAS = 5_000
FREE_DEPTH = 2
"""How deep arrays and objects nest where the schema says nothing."""
JSON_SPACES = "[ \\t\\n\\r]{0,8}"
ECMA_SPACES = (
    CharSet.SPACES | CharSet.chars("\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff") | CharSet.of([(0x2000, 0x200A)])
)
"""What `\\s` means in a schema's `pattern` (ECMA-262)."""

ANY_CHARACTER = Characters(CharSet.ALL)
ANY_TEXT = Repetition(ANY_CHARACTER, 0, None)

Refs: TypeAlias = frozenset[str]
"""The references being followed, to tell recursion."""


class SchemaPattern(NamedTuple):
    """A regex for the JSON texts a schema allows, and what it does not enforce, one sentence each."""

    regex: str
    warnings: tuple[str, ...]


def pattern_of_schema(spec: JsonSchema) -> SchemaPattern:
    """Lays a schema out as a regex (Python's syntax).

    Every text it matches is JSON and valid under the schema, but for what the warnings name. Not every valid text is
    matched: keys come in the schema's order and only those it lists, values without a schema nest `FREE_DEPTH` deep,
    numbers have at most 19 digits, strings no superfluous escapes.

    Raises:
        InvalidSpec: a keyword's value is of the wrong shape, or a reference leads nowhere.
        UnsupportedConstraint: recursive and remote references; constraints that nothing fulfils.
        GrammarLimit: the schema, or what comes of it, is too large.
    """
    if len(spec.schema) > MAX_SCHEMA_LENGTH:
        raise GrammarLimit(f"json_schema: {len(spec.schema)} characters, at most {MAX_SCHEMA_LENGTH} are read")
    try:
        layout = _Layout(json.loads(spec.schema, parse_constant=_refuse_constant), spec.whitespace)
        simple = layout.simplified(layout.root, "", frozenset())
    except RecursionError:
        raise GrammarLimit("json_schema: nested too deeply") from None
    regex = layout.filled_in(schema_regex(simple, "@w@"))
    return SchemaPattern(regex, tuple(dict.fromkeys(layout.warnings)))


def _refuse_constant(name: str) -> None:
    raise InvalidSpec(f"json_schema: {name} is not JSON")


class _Layout:
    """Simplifies one schema, and keeps the patterns its marks stand for."""

    def __init__(self, root: Schema | bool, whitespace: Whitespace) -> None:
        self.root = root
        self.warnings: list[str] = []
        self._patterns: list[str] = []
        self._subschemas = 0
        self._after_separator = {"fixed": " ", "compact": "", "flexible": JSON_SPACES}[whitespace]
        self._elsewhere = JSON_SPACES if whitespace == "flexible" else ""
        self._separators = (",", ":") if whitespace == "compact" else (", ", ": ")

    def filled_in(self, built: str) -> str:
        """The builder's regex with whitespace and patterns in place of the marks."""
        # The builder has no whitespace before the commas of an array.
        built = re.sub("(?<!@w@),@w@", "@w@,@w@", built)
        if not self._elsewhere:
            # Behind the comma of an optional property the whitespace stands outside the optional group.
            built = built.replace(",)?", f",{self._after_separator})?")
        built = re.sub("([,:])@w@", lambda found: found[1] + self._after_separator, built)
        built = built.replace("@w@", self._elsewhere)
        length = len(built) + sum(len(self._patterns[int(mark)]) for mark in re.findall('"@([0-9]+)@"', built))
        if length > MAX_REGEX_LENGTH:
            raise GrammarLimit(f"json_schema: its regex has {length} characters, at most {MAX_REGEX_LENGTH}")
        built = re.sub('"@([0-9]+)@"', lambda found: f"(?:{self._patterns[int(found[1])]})", built)
        return f"{self._elsewhere}(?:{built}){self._elsewhere}"

    def simplified(self, schema: Any, path: str, refs: Refs) -> Schema:
        """A schema for the builder that stands for `schema`, found at `path`."""
        self._subschemas += 1
        if self._subschemas > MAX_SUBSCHEMAS:
            raise GrammarLimit(f"json_schema: more than {MAX_SUBSCHEMAS} subschemas, references followed")
        if schema is False:
            raise UnsupportedConstraint("false", path, "nothing is valid here")
        flat, path, refs = self._flat({} if schema is True else schema, path, refs)
        for keyword in ("anyOf", "oneOf"):
            if keyword in flat:
                return self._alternatives(keyword, flat, path, refs)
        self._warn_if(path, *(keyword for keyword in UNENFORCED if keyword in flat))
        self._warn_if(path, *(keyword for keyword in ("then", "else") if keyword in flat and "if" in flat))
        if "const" in flat or "enum" in flat:
            return self._values(flat, path)
        types = types_of(flat, path)
        if not types:
            return self._leaf(self._free_value(FREE_DEPTH))
        branches = [self._typed(name, flat, path, refs) for name in types]
        return branches[0] if len(branches) == 1 else {"anyOf": branches}

    def _warn_if(self, path: str, *keywords: str) -> None:
        self.warnings += [f"{keyword} at {path or '/'} is not enforced" for keyword in keywords]

    def _leaf(self, pattern: str) -> Schema:
        return {"const": self._mark(pattern)}

    def _mark(self, pattern: str) -> str:
        self._patterns.append(pattern)
        return f"@{len(self._patterns) - 1}@"

    # References and combinations

    def _flat(self, schema: Any, path: str, refs: Refs) -> tuple[Schema, str, Refs]:
        """The schema with `$ref` and `allOf` merged into it, and where it stands."""
        check_shapes(schema, path)
        flat = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        if "$ref" in schema:
            reference = schema["$ref"]
            if reference in refs:
                raise UnsupportedConstraint("$ref", path, "recursive schemas are not supported")
            refs |= {reference}
            target, target_path, refs = self._flat(self._referred(reference, path), reference[1:], refs)
            flat = merged(flat, target, "$ref", path)
            path = path if any(flat[key] != target.get(key) for key in flat if key not in ANNOTATIONS) else target_path
        for index, part in enumerate(schema.get("allOf", ())):
            other, _, inner = self._flat({} if part is True else part, f"{path}/allOf/{index}", refs)
            refs |= inner
            flat = merged(flat, other, "allOf", path)
        return flat, path, refs

    def _referred(self, reference: str, path: str) -> Any:
        if reference != "#" and not reference.startswith("#/"):
            raise UnsupportedConstraint("$ref", path, f"{reference!r} is no pointer into the schema")
        found: Any = self.root
        for step in reference.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise InvalidSpec(f"json_schema: $ref at {path or '/'}: {reference!r} leads nowhere")
        return {} if found is True else found

    def _alternatives(self, keyword: str, flat: Schema, path: str, refs: Refs) -> Schema:
        siblings = {key: value for key, value in flat.items() if key != keyword}
        if not flat[keyword]:
            raise InvalidSpec(f"json_schema: {keyword} at {path or '/'} is empty")
        branches = []
        for index, branch in enumerate(flat[keyword]):
            place = f"{path}/{keyword}/{index}"
            if branch is not False:
                inner, place, inner_refs = self._flat({} if branch is True else branch, place, refs)
                branches.append((merged(siblings, inner, keyword, path), place, inner_refs))
        if not branches:
            raise UnsupportedConstraint(keyword, path, "no branch can be valid")
        if keyword == "oneOf" and not all_disjoint([branch for branch, _, _ in branches]):
            self.warnings.append(f"oneOf at {path or '/'} is enforced as anyOf: its branches may overlap")
        return {"anyOf": [self.simplified(*branch) for branch in branches]}

    def _values(self, flat: Schema, path: str) -> Schema:
        values = flat.get("enum", [flat.get("const")])
        if "const" in flat:
            values = [value for value in values if same_value(value, flat["const"])]
        if "type" in flat:
            types = types_of(flat, path)
            values = [value for value in values if any(is_of_type(value, name) for name in types)]
        if not values:
            raise UnsupportedConstraint("const" if "const" in flat else "enum", path, "no value can be valid")
        others = {keyword for keywords in KINDS.values() for keyword in keywords if keyword not in UNENFORCED}
        self._warn_if(path, *(keyword for keyword in flat if keyword in others))
        return self._leaf("|".join(scalars.literal(value, self._separators) for value in values))

    # Types

    def _typed(self, name: str, flat: Schema, path: str, refs: Refs) -> Schema:
        if name == "array":
            return self._array(flat, path, refs)
        if name == "object":
            return self._object(flat, path, refs)
        if name == "string":
            return self._leaf(self._string(flat, path))
        if name in ("integer", "number"):
            return self._leaf(self._number(name, flat, path))
        return self._leaf({"null": "null", "boolean": "true|false"}[name])

    def _string(self, flat: Schema, path: str) -> str:
        low, high = size_bounds(flat, path, "minLength", "maxLength")
        if flat.get("format") in scalars.FORMATS:
            self._warn_if(path, *(key for key in ("pattern", "minLength", "maxLength") if key in flat))
            return scalars.string_of(parse_pattern(scalars.FORMATS[flat["format"]]))
        self._warn_if(path, *(["format"] if "format" in flat else []))
        if "pattern" in flat:
            self._warn_if(path, *(key for key in ("minLength", "maxLength") if key in flat))
            try:
                content = parse_pattern(flat["pattern"], search=True, spaces=ECMA_SPACES)
            except UnsupportedConstraint as error:
                raise UnsupportedConstraint("pattern", path, str(error)) from error
            return scalars.string_of(content)
        return scalars.string_of(Repetition(ANY_CHARACTER, low, high))

    def _number(self, name: str, flat: Schema, path: str) -> str:
        if "multipleOf" in flat and not (name == "integer" and flat["multipleOf"] == 1):
            self._warn_if(path, "multipleOf")
        if not any(key in flat for key in KINDS["number"][:4]):
            return scalars.INTEGER if name == "integer" else scalars.NUMBER
        low, low_open = tighter_bound(flat, "minimum", "exclusiveMinimum", 1)
        high, high_open = tighter_bound(flat, "maximum", "exclusiveMaximum", -1)
        between = scalars.integer_between if name == "integer" else scalars.number_between
        pattern = between(low, high, low_open, high_open)
        if pattern is None:
            raise UnsupportedConstraint("minimum", path, f"no {name} of at most 19 digits is within the bounds")
        return pattern

    def _array(self, flat: Schema, path: str, refs: Refs) -> Schema:
        low, high = size_bounds(flat, path, "minItems", "maxItems")
        if flat.get("uniqueItems") and (high is None or high > 1):
            self._warn_if(path, "uniqueItems")
        self._warn_if(path, *(["contains"] if "contains" in flat else []))
        items = flat.get("items", flat.get("unevaluatedItems", True))
        prefix = flat.get("prefixItems", items if isinstance(items, list) else [])
        if isinstance(items, list):
            items = flat.get("additionalItems", True)
        if not prefix and items is not False and high != 0:
            simple = {"type": "array", "items": self.simplified(items, f"{path}/items", refs), "minItems": low}
            return simple if high is None else {**simple, "maxItems": high}
        if low > len(prefix) and items is False:
            raise UnsupportedConstraint("minItems", path, "there is no schema for so many items")
        parts = [*prefix, *[items] * max(0, min(low, MAX_SUBSCHEMAS) - len(prefix))][:high]
        if not parts:
            return self._leaf(f"\\[{self._elsewhere}\\]")
        simple_parts = [self.simplified(part, f"{path}/prefixItems/{index}", refs) for index, part in enumerate(parts)]
        return {"type": "array", "prefixItems": simple_parts}

    def _object(self, flat: Schema, path: str, refs: Refs) -> Schema:
        low, high = size_bounds(flat, path, "minProperties", "maxProperties")
        required, rest = flat.get("required", []), flat.get("additionalProperties", True)
        properties = dict(flat.get("properties", {}))
        for name in required:
            if properties.setdefault(name, rest) is False:
                raise UnsupportedConstraint("required", path, f"{name!r} is required and forbidden")
        listed = {name: value for name, value in properties.items() if value is not False}
        if not listed:
            return self._map(rest, low, high, path, refs)
        self._warn_if(path, *(["minProperties"] if low > len(set(required)) else []))
        self._warn_if(path, *(["maxProperties"] if high is not None and high < len(listed) else []))
        keys = {name: self._mark(scalars.literal(name)) for name in listed}
        simple = {
            keys[name]: self.simplified(value, f"{path}/properties/{_escaped_step(name)}", refs)
            for name, value in listed.items()
        }
        return {"type": "object", "properties": simple, "required": [keys[name] for name in dict.fromkeys(required)]}

    def _map(self, values: Schema | bool, low: int, high: int | None, path: str, refs: Refs) -> Schema:
        """An object of any keys, whose values follow one schema."""
        if values is False or high == 0:
            if low:
                raise UnsupportedConstraint("minProperties", path, "no property is allowed")
            return self._leaf(f"\\{{{self._elsewhere}\\}}")
        self._warn_if(path, *(["minProperties"] if low > 1 else []), *(["maxProperties"] if high is not None else []))
        simple = self.simplified(values, f"{path}/additionalProperties", refs)
        return {"type": "object", "additionalProperties": simple, **({"minProperties": 1} if low else {})}

    def _free_value(self, depth: int) -> str:
        """The pattern of any JSON value, arrays and objects nested at most `depth` deep."""
        string = scalars.string_of(ANY_TEXT)
        value = f"{string}|{scalars.NUMBER}|true|false|null"
        if depth:
            inner, comma = self._free_value(depth - 1), f"{self._elsewhere},{self._after_separator}"
            pair = f"{string}{self._elsewhere}:{self._after_separator}{inner}"
            for begin, item, end in (("\\[", inner, "\\]"), ("\\{", pair, "\\}")):
                value += (
                    f"|{begin}{self._elsewhere}(?:{item}(?:{self._elsewhere}{comma}{item})*)?{self._elsewhere}{end}"
                )
        return f"(?:{value})"


def _escaped_step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
