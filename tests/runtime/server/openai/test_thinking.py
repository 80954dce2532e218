from __future__ import annotations

import pytest

from grammars import Choice, GrammarCompiler, Vocabulary
from grammars.spec import StructuralTag, Tag
from runtime.reasoning import Reasoning
from runtime.server.openai.thinking import behind, reasoning_in


@pytest.mark.parametrize(
    ("source", "prompt", "is_there", "is_certain"),
    [
        ("plain", "x", False, False),
        ("<think>", "x", True, False),
        ("<think>", "x<think>\n", True, True),
        ("<think>", "x<think>\n\n</think>\n\n", False, False),
    ],
)
def test_the_template_and_the_prompt_tell_of_reasoning(
    source: str, prompt: str, is_there: bool, is_certain: bool
) -> None:
    found = reasoning_in(source, prompt)
    assert (found is not None) is is_there
    assert (found is not None and found.is_certain) is is_certain


def test_where_a_model_may_think_or_not_both_are_allowed() -> None:
    spec, after = behind(Reasoning(), Choice(("yes", "no")))
    compiler = GrammarCompiler(Vocabulary([*(bytes([byte]) for byte in range(256)), None], (256,)))

    def allows(text: str) -> bool:
        matcher = compiler.compile(spec).matcher()
        return all(matcher.accept(byte) for byte in text.encode()) and matcher.is_complete()

    assert after is None
    assert [allows(text) for text in ("yes", "<think>hm</think>\n\nno", "<think></think>yes")] == [True] * 3
    assert [allows(text) for text in ("hm", "<think>hm</think>", "<think>yes", "hm</think>yes")] == [False] * 4


def test_where_it_thinks_for_certain_the_constraint_begins_behind_the_marker() -> None:
    spec = Choice(("yes", "no"))
    assert behind(Reasoning(is_certain=True), spec) == (spec, "</think>")
    assert behind(None, spec) == (spec, None)
    free = StructuralTag((Tag("<a>", None, ("</a>",)),), ("<a>",))
    assert behind(Reasoning(), free) == (free, None)
