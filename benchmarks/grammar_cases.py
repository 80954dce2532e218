"""Which engine gets which case right: `python -m benchmarks.grammar_cases` prints the table of grammars/README.md.

The cases are those of tests/grammars/cases.jsonl, where the project's own engine is held to them. The other engines
are asked as they come, under the key order they have; the vocabulary is single bytes, so that no token gets in the way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grammars import GrammarError, JsonSchema
from grammars.engines.base import Engine, EngineAbsent
from grammars.engines.registry import NAMES, engine_named
from grammars.sample import byte_vocabulary

CASES = Path(__file__).parents[1] / "tests" / "grammars" / "cases.jsonl"


def verdict(engine: Engine, schema: Any, good: list[str], bad: list[str]) -> str:
    """ "yes" where all texts come out right, else what goes wrong."""
    order = "any" if engine.name == "sgdsl" else "schema"
    try:
        grammar = engine.compile(JsonSchema.of(schema, key_order=order))
    except GrammarError:
        return "refuses"
    if any(_accepted(grammar, text) for text in bad):
        return "accepts invalid"
    return "yes" if all(_accepted(grammar, text) for text in good) else "rejects valid"


def _accepted(grammar: Any, text: str) -> bool:
    matcher = grammar.matcher()
    try:
        return all(matcher.accept(byte) for byte in text.encode()) and matcher.is_complete()
    except GrammarError:
        return False


def main() -> None:
    engines: dict[str, Engine] = {}
    for name in NAMES:
        try:
            engines[name] = engine_named(name)(byte_vocabulary())
        except EngineAbsent as error:
            print(f"{name}: {error}")
    print("| case | " + " | ".join(engines) + " |")
    print("|---" * (len(engines) + 1) + "|")
    for line in CASES.read_text("utf-8").splitlines():
        case = json.loads(line)
        found = [verdict(engine, case["schema"], case["good"], case["bad"]) for engine in engines.values()]
        print(f"| {case['name']} | " + " | ".join(found) + " |")


if __name__ == "__main__":
    main()
