from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grammars import JsonSchema, Vocabulary
from grammars.machine.engine import MachineEngine
from grammars.machine.lexeme_masks import LexemeMasks
from grammars.spec import Whitespace


@pytest.fixture(scope="module")
def engine(vocabulary: Vocabulary) -> MachineEngine:
    return MachineEngine(vocabulary)


@pytest.mark.parametrize("whitespace", ["fixed", "compact", "flexible"])
@pytest.mark.parametrize("schema", [True, {"type": "object"}, {"type": "array"}, {"type": ["string", "integer"]}])
def test_common_values_are_there_from_the_beginning(
    engine: MachineEngine, schema: Any, whitespace: Whitespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"object": b'{"k": [1.5, {"a": ""}]}', "array": b'[{"a": null}, "x\\n"]'}.get(
        schema["type"] if isinstance(schema, dict) and isinstance(schema["type"], str) else "", b"-12"
    )
    if whitespace == "compact":
        text = text.replace(b" ", b"")
    engine.compile(JsonSchema.of(schema, whitespace=whitespace))
    monkeypatch.setattr(LexemeMasks, "_inner", None)  # masks of strings would be found out by this
    matcher = engine.compile(JsonSchema.of(schema, whitespace=whitespace)).matcher()
    row = np.zeros(engine.tables.num_words, np.int32)
    for byte in text:
        matcher.mask_into(row)
        assert matcher.read(bytes([byte])) == 1
    assert matcher.is_complete()


def test_a_pattern_is_looked_at_once_for_all_grammars(engine: MachineEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    row, rows = np.zeros(engine.tables.num_words, np.int32), []
    for title in "ab":
        schema = {"title": title, "type": "string", "pattern": "^[a-z]+[0-9x]*[A-Z]{2,90}$"}
        matcher = engine.compile(JsonSchema.of(schema)).matcher()
        assert matcher.read(b'"abc') == 4
        matcher.mask_into(row)
        rows.append(row.tolist())
        monkeypatch.setattr(LexemeMasks, "_inner", None)
    assert rows[0] == rows[1]
