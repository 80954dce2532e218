from __future__ import annotations

import pytest

from grammars.spec import Choice, Gbnf, JsonObject, JsonSchema, Regex, Spec
from sgdsl.backends.text.answer import check_text

POINT = JsonSchema.of({"type": "object", "properties": {"x": {"type": "integer", "minimum": 3}, "y": {}}})


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ('{\n\n      "y" :\t"a  \\" b", "x": 3 }', POINT),
        ("{}", JsonObject()),
        ("a1", Regex("a[0-9]")),
        ("b", Choice(("a", "b"))),
        ("xx", Gbnf('root ::= "x"+')),
        ('{"a": 1}', JsonSchema.of({"$ref": "https://example.org/elsewhere.json"})),
    ],
)
def test_what_is_allowed(text: str, constraint: Spec) -> None:
    check_text(text, constraint)


@pytest.mark.parametrize(
    ("text", "constraint", "named"),
    [
        ('{"x": 2}', POINT, "does not fit the schema near"),
        ('{"x": 3', POINT, "Expecting ',' delimiter"),
        ("[]", JsonObject(), "does not fit the schema"),
        ("nothing", JsonObject(), "Expecting value"),
        ("a", Regex("b"), "does not match the regex b"),
        ("c", Choice(("a", "b")), "none of a, b"),
        ("y", Gbnf('root ::= "x"+'), "Gbnf constraint at byte 0"),
    ],
)
def test_what_is_not(text: str, constraint: Spec, named: str) -> None:
    with pytest.raises(ValueError, match=r"the server's answer .* breaks its constraint") as caught:
        check_text(text, constraint)
    assert named in str(caught.value)
