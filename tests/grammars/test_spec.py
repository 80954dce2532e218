import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grammars import spec as spec_module
from grammars.errors import InvalidSpec
from grammars.spec import (
    AnyOf,
    Choice,
    FreeText,
    Gbnf,
    JsonObject,
    JsonSchema,
    Lark,
    Regex,
    Repeat,
    Sequence,
    SpecialToken,
    Stop,
    StructuralTag,
    Suffix,
    Tag,
)

TAG = Tag("<a>", None, ("</a>",))
SPECS = [
    Regex("a"),
    Choice(("a",)),
    JsonSchema("true"),
    JsonObject(),
    Lark('start: "a"'),
    Gbnf('root ::= "a"'),
    FreeText(("a",)),
    SpecialToken("<a>"),
    Stop(("a",), Regex("b")),
    Suffix(Regex("a"), "b"),
    Sequence(("a", Regex("b"))),
    AnyOf((Regex("a"), JsonObject())),
    Repeat(Regex("a"), 1, 2),
    StructuralTag((TAG,), ("<",)),
]


def test_specs_are_values():
    assert len(set(SPECS)) == len(SPECS)
    for spec in SPECS:
        twin = type(spec)(*(getattr(spec, field) for field in spec.__dataclass_fields__))
        assert twin == spec
        assert hash(twin) == hash(spec)


def test_policies_are_part_of_a_schema():
    default = JsonSchema.of({"type": "object"})
    assert (default.whitespace, default.key_order, default.formats, default.unsatisfiable) == (
        "fixed",
        "schema",
        "assert",
        "error",
    )
    other = JsonSchema.of({"type": "object"}, "compact", key_order="any", formats="annotate", unsatisfiable="empty")
    assert other == JsonSchema('{"type": "object"}', "compact", "any", "annotate", "empty")
    assert other != default
    assert JsonSchema.of(True) == JsonSchema("true")
    assert JsonObject("compact").schema() == JsonSchema('{"type": "object"}', "compact")


WRONG: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (Regex, (3,), "regex: 3 is not a string"),
    (Choice, ((),), "choice: at least one option"),
    (Choice, (("a", ""),), "choice: '' is not a non-empty string"),
    (JsonSchema, ("{",), "json_schema: not JSON"),
    (JsonSchema, ("[" * 100_000,), "json_schema: nested too deeply"),
    (JsonSchema, ("3",), "json_schema: 3 is neither an object nor a boolean"),
    (JsonSchema, ("{}", "loose"), "whitespace: 'loose' is not one of fixed, compact, flexible"),
    (JsonSchema, ("{}", "fixed", "sorted"), "key_order: 'sorted' is not one of schema, any"),
    (JsonSchema, ("{}", "fixed", "any", "check"), "formats: 'check' is not one of assert, annotate"),
    (JsonSchema, ("{}", "fixed", "any", "assert", "x"), "unsatisfiable: 'x' is not one of error, empty"),
    (JsonObject, (None,), "whitespace: None"),
    (Lark, ("",), "lark: '' is not a non-empty string"),
    (Gbnf, ("a", 3), "root: 3 is not a non-empty string"),
    (FreeText, ("ab",), "excludes: 'ab' is not a tuple"),
    (FreeText, (("",),), "excludes: ''"),
    (SpecialToken, ("",), "special_token: ''"),
    (Stop, ((),), r"stops: \(\) is not a tuple of at least 1"),
    (Stop, (("a",), "b"), "spec: 'b' is not a spec"),
    (Suffix, (Regex("a"), ""), "suffix: ''"),
    (Sequence, ((),), "parts"),
    (Sequence, (("",),), "parts: ''"),
    (Sequence, ((3,),), "parts: 3 is not a spec"),
    (AnyOf, ((),), "options"),
    (AnyOf, (("a",),), "options: 'a' is not a spec"),
    (Repeat, (Regex("a"), -1), "low, high: -1, None"),
    (Repeat, (Regex("a"), 3, 2), "low, high: 3, 2"),
    (Repeat, (Regex("a"), None), "low: None is not an integer"),
    (Repeat, (Regex("a"), 0, True), "high: True is not an integer"),
    (Tag, ("", None, ("b",)), "begin: ''"),
    (Tag, ("a", None, ("",)), "ends: ''"),
    (Tag, ("a", "b", ("c",)), "spec|body: 'b' is not a spec"),
    (StructuralTag, ((), ("<",)), "tags"),
    (StructuralTag, ((TAG,), ()), "triggers"),
    (StructuralTag, ((TAG,), ("<b",)), "begin: '<a>' starts with none of the triggers '<b'"),
    (StructuralTag, ((TAG,), ("<", "[")), "triggers: '\\[' begins no tag"),
    (StructuralTag, (("a",), ("<",)), "tags: 'a' is not a Tag"),
    (StructuralTag, ((TAG,), ("<",), 1), "at_least_one: 1 is not a boolean"),
]


@pytest.mark.parametrize(("spec", "fields", "message"), WRONG)
def test_wrong_fields_are_refused(spec: Callable[..., Any], fields: tuple[Any, ...], message: str):
    with pytest.raises(InvalidSpec, match=message) as caught:
        spec(*fields)
    assert "\n" not in str(caught.value)


def test_specs_load_nothing_heavy():
    # The package itself may load more than the module does, so it is left out.
    code = """
import sys, types
package = sys.modules["grammars"] = types.ModuleType("grammars")
package.__path__ = [sys.argv[1]]
import grammars.spec
print(*{"numpy", "lark", "numba", "torch", "grammars.cfg"} & set(sys.modules))
"""
    path = str(Path(spec_module.__file__).parent)
    loaded = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
