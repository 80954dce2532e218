from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from sgdsl.cli.errors import UsageError
from sgdsl.cli.tuning.prompts import Prompt, longest, read, synthetic


def _file(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_has_one_prompt_a_line_and_is_gone_through_over_and_over(tmp_path: Path) -> None:
    prompts = read(_file(tmp_path, 'first\n\n{"second"}\n', "prompts.txt"), 7)
    assert list(islice(prompts, 3)) == [Prompt("first", 7), Prompt('{"second"}', 7), Prompt("first", 7)]


def test_json_lines_are_texts_or_objects(tmp_path: Path) -> None:
    prompts = read(_file(tmp_path, '"a\\nb"\n{"prompt": "c", "max_tokens": 3}\n', "prompts.jsonl"), 7)
    assert list(islice(prompts, 2)) == [Prompt("a\nb", 7), Prompt("c", 3)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "there is no prompt in it"),
        ('"a"\n{', "jsonl:2: no JSON"),
        ("[1]", "jsonl:1: a string is needed"),
        ('{"prompt": ""}', "jsonl:1: a string is needed"),
        ('{"prompt": "a", "max_tokens": 0}', "jsonl:1: max_tokens=0 is not allowed: an integer of at least 1"),
    ],
)
def test_what_is_no_prompt_is_named_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(_file(tmp_path, text, "prompts.jsonl"), 7)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--prompts .*none"):
        read(tmp_path / "none", 7)


def test_the_mix_has_lengths_around_what_is_asked_and_common_prefixes() -> None:
    prompts = list(islice(synthetic(1000, 100, 20, seed=1), 200))
    lengths = [len(prompt.content) for prompt in prompts]
    assert min(lengths) >= 50
    assert max(lengths) <= longest(100) == 150
    assert 90 < sum(lengths) / 200 < 110
    assert {prompt.max_new_tokens for prompt in prompts} <= set(range(10, 31))
    assert len({tuple(prompt.content[:25]) for prompt in prompts}) == 4
    assert len({tuple(prompt.content) for prompt in prompts}) == 200
    assert prompts == list(islice(synthetic(1000, 100, 20, seed=1), 200))
    assert prompts != list(islice(synthetic(1000, 100, 20, seed=2), 200))


def test_arguments_are_those_of_generate() -> None:
    params = {"max_new_tokens": 5, "temperature": 0, "ignore_eos": False}
    assert Prompt("a", 10).arguments(0.5) == {"prompt": "a", "sampling_params": params}
    exact = Prompt([1, 2], 10, is_exact=True).arguments(0.001)
    assert exact == {"input_ids": [1, 2], "sampling_params": params | {"max_new_tokens": 1, "ignore_eos": True}}
