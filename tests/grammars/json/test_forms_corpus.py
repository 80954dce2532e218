"""Real schemas and the JSON-Schema-Test-Suite: forms lead through just the valid instances, and never astray."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from grammars.errors import UnsupportedConstraint
from grammars.json.node import Nodes
from grammars.json.schema import SchemaGraph
from grammars.json.shapes import Shapes
from grammars.regular.language import Languages

DATA = Path(__file__).parents[4] / "shared" / "data" / "schemas"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="the corpus is not there"),
]


def groups(name: str, step: int) -> list[dict[str, Any]]:
    with (DATA / name).open() as lines:
        return [json.loads(line) for at, line in enumerate(lines) if at % step == 0]


def wrong_instances(group: dict[str, Any], formats: Any, follower: Any) -> int:
    """How many instances forms judge otherwise than the corpus; asserts that they lead to what they accept."""
    languages, nodes = Languages(), Nodes()
    root = SchemaGraph(group["schema"], languages, nodes, formats=formats, registry=None).root
    shapes = Shapes(languages, nodes)
    follow = follower(shapes)
    for seed in range(2):
        if not shapes.is_empty(root):
            assert follow.accepts(root, follow.walk(root, random.Random(seed)))
    return sum(follow.accepts(root, case["data"]) is not case["valid"] for case in group["tests"])


def test_real_schemas(follower: Any) -> None:
    counts = {group["id"]: wrong_instances(group, "assert", follower) for group in groups("maskbench.jsonl", 4)}
    assert {name: count for name, count in counts.items() if count} == {}


def test_the_test_suite(follower: Any) -> None:
    wrong = {}
    for group in groups("jsts2020.jsonl", 1):
        if group["split"] != "jsts/core" or group["remote_ref"]:
            continue
        try:
            wrong[group["id"]] = wrong_instances(group, "annotate", follower)
        except UnsupportedConstraint:
            wrong[group["id"]] = 0
    # A vocabulary that only a metaschema elsewhere announces is not known to be missing.
    assert {name: count for name, count in wrong.items() if count} == {"jsts/vocabulary#0": 1}
