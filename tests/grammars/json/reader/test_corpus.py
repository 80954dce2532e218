"""Real schemas and the JSON-Schema-Test-Suite: what each says of its instances, and what its negation says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grammars.errors import UnsupportedConstraint
from grammars.json.node import Node

DATA = Path(__file__).parents[5] / "shared" / "data" / "schemas"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="the corpus is not there"),
]

Satisfies = Callable[[Node, object], bool]
BothSigns = Callable[..., tuple[Node, Node]]


def groups(name: str) -> Iterator[dict[str, Any]]:
    with (DATA / name).open() as lines:
        yield from map(json.loads, lines)


def wrong_instances(group: dict[str, Any], nodes: tuple[Node, Node], satisfies: Satisfies) -> int:
    """How many instances the graph judges otherwise than the corpus.

    The negation never agrees with it. Both may refuse what the dialects of `pattern` read differently: other digits.
    """
    node, opposite = nodes
    wrong = 0
    for case in group["tests"]:
        verdict = satisfies(node, case["data"])
        either = satisfies(opposite, case["data"])
        assert either is not verdict or (not verdict and not str(case["data"]).isascii())
        wrong += verdict is not case["valid"]
    return wrong


def test_real_schemas(satisfies: Satisfies, both_signs: BothSigns) -> None:
    wrong = {}
    for group in groups("maskbench.jsonl"):
        count = wrong_instances(group, both_signs(group["schema"], formats=True), satisfies)
        if count:
            wrong[group["id"]] = count
    # One instance writes prose where `format` says `byte`, which is a format of OpenAPI's.
    assert sum(wrong.values()) <= 1, wrong


def test_suite(satisfies: Satisfies, both_signs: BothSigns) -> None:
    refused, wrong = [], []
    for group in groups("jsts2020.jsonl"):
        formats = group["id"].startswith("jsts/optional/format/")
        try:
            nodes = both_signs(group["schema"], formats=formats)
        except UnsupportedConstraint:
            refused.append(group["id"])
            continue
        if wrong_instances(group, nodes, satisfies) and "/optional/" not in group["id"]:
            wrong.append(group["id"])
    assert wrong == ["jsts/vocabulary#0"]  # a metaschema of its own, which nobody gives us
    # All of them refer to documents that are not given.
    assert len(refused) == 12
    assert all("efRemote" in name or name in OTHER_DOCUMENTS for name in refused)


OTHER_DOCUMENTS = ("jsts/defs#0a", "jsts/dynamicRef#15", "jsts/optional/cross-draft#0a", "jsts/ref#6")
