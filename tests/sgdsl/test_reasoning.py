from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsl.errors import InvalidArgument
from sgdsl.reasoning import MODEL_TYPES, Reasoning, Splitter, reasoning_of

RULES = [
    Reasoning(is_certain=certain, is_exact=exact, begin="<t>", end="</t>")
    for certain in (False, True)
    for exact in (False, True)
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(["<t>", "</t>", "<", "</", "t>", " ", "\n", "a", "b"]), max_size=12).map("".join)


def oracle(rules: Reasoning, text: str) -> tuple[str, str]:
    """On the whole text at once."""
    inner = text.lstrip()
    has_begin = inner.startswith(rules.begin)
    if not has_begin and not rules.is_certain:
        return "", text
    before, marker, after = inner[len(rules.begin) * has_begin :].partition(rules.end)
    return before.strip(), after if rules.is_exact or not marker else after.lstrip()


@given(st.sampled_from(RULES), TEXTS, st.data())
def test_pieces_do_not_matter(rules: Reasoning, text: str, data: st.DataObject) -> None:
    splitter = Splitter(rules)
    parts, left = [], text
    while left:
        size = data.draw(st.integers(1, len(left)))
        parts.append(splitter.feed(left[:size]))
        left = left[size:]
    parts.append(splitter.end())
    assert tuple("".join(side) for side in zip(*parts, strict=True)) == rules.split(text)


@given(st.sampled_from(RULES), TEXTS)
def test_a_whole_text_is_split_as_the_rules_say(rules: Reasoning, text: str) -> None:
    assert rules.split(text) == oracle(rules, text)


@given(st.sampled_from(RULES), TEXTS)
def test_one_character_at_a_time(rules: Reasoning, text: str) -> None:
    splitter = Splitter(rules)
    parts = [splitter.feed(character) for character in text] + [splitter.end()]
    assert tuple("".join(side) for side in zip(*parts, strict=True)) == oracle(rules, text)


def test_what_is_certain_is_not_held_back() -> None:
    splitter = Splitter(MODEL_TYPES["qwen3"])
    assert splitter.feed("<think>\nLet me see </th") == ("Let me see", "")
    assert splitter.feed("is") == (" </this", "")
    assert splitter.feed(" </think>\n\n4") == ("", "4")
    assert splitter.feed("2 <think>") == ("", "2 <think>")


def test_unknown_model_types_are_named() -> None:
    for wrong in ("gpt-9", None, 3):
        with pytest.raises(InvalidArgument, match=r"model_type=.*deepseek-r1"):
            reasoning_of(wrong)
