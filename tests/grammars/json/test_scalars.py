from __future__ import annotations

import pytest

from grammars.json.node import Node, Nodes
from grammars.json.scalars import Scalars
from grammars.json.schema import SchemaGraph
from grammars.json.targets import Targets
from grammars.regular.language import Languages

DRAFT_4 = "http://json-schema.org/draft-04/schema#"


@pytest.mark.parametrize(
    ("schema", "other", "implied"),
    [
        ({"enum": [1, 2]}, {"minimum": 1}, True),
        ({"enum": [1, 2]}, {"type": "number"}, True),
        ({"enum": [1, 2]}, {"minimum": 2}, False),
        ({"enum": [1, 2]}, {"type": "integer"}, False),  # there is 1.0
        ({"enum": [0.5]}, {"type": "number", "not": {"type": "integer"}}, True),
        ({"enum": [1]}, {"type": "number", "not": {"type": "integer"}}, False),
    ],
)
def test_what_few_values_imply(schema: dict[str, object], other: dict[str, object], implied: bool) -> None:
    languages, nodes = Languages(), Nodes()

    def read(each: dict[str, object]) -> Node:
        return SchemaGraph({"$schema": DRAFT_4, **each}, languages, nodes).root

    assert Scalars(languages, Targets(nodes)).surely_implies(read(schema), read(other)) == implied


@pytest.mark.parametrize(
    ("schema", "accepted", "refused"),
    [
        ({"type": "integer"}, "0 -17 1000", "1.0 1e2 1.5"),
        ({"type": "integer", "minimum": 0, "maximum": 12}, "0 12", "-0 1.0 1e1 13"),
        ({"type": "number", "not": {"type": "integer"}}, "1.0 1e2 1.5", "0 -17"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "1.0 1e2 1.5", "0 -17"),
        ({"type": ["integer", "string"], "enum": [1, 2.5, "a"]}, "1", "1.0 2.5"),
        ({"type": "number", "multipleOf": 1}, "1 1.0 1e2", "1.5"),
    ],
)
def test_integers_of_draft_4(schema: dict[str, object], accepted: str, refused: str) -> None:
    languages, nodes = Languages(), Nodes()
    root = SchemaGraph({"$schema": DRAFT_4, **schema}, languages, nodes).root
    number = Scalars(languages, Targets(nodes)).number(root)
    assert number is not None
    assert [text for text in accepted.split() if not number.contains(text)] == []
    assert [text for text in refused.split() if number.contains(text)] == []
