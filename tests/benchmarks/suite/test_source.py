"""Sources: the same for the same seed, and read from files of which a bad line is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.suite.folder import read_folder
from benchmarks.suite.generated import generated
from benchmarks.suite.source import Step, Sum, Topic, Trajectory

LINES = {
    "gsm8k_fewshot.jsonl": {"question": "One and one?", "answer": "2"},
    "gsm8k_test.jsonl": {"question": "One and two?", "answer": "3"},
    "hotpotqa_100.jsonl": {"Question: Who?": [{"thought": "I search.", "action": "Search[x]", "observation": "x.\n"}]},
    "judge_articles.jsonl": "An article",
    "tip_topics.jsonl": {"topic": "tea", "number": 6},
}
SCENE = {"activity_label": "Rowing", "ctx": "He rows and", "endings": ["a", "b", "c", "d"], "label": "2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, line in LINES.items():
        (tmp_path / name).write_text(json.dumps(line) + "\n", encoding="utf-8")
    (tmp_path / "characters.txt").write_text("Anna\nBen\n", encoding="utf-8")
    return tmp_path


def test_a_seed_makes_the_same_again_and_others_others() -> None:
    assert generated(3) == generated(3)
    assert generated(3).problems != generated(4).problems


def test_what_is_made_up_has_the_shape_of_what_is_published() -> None:
    source = generated(0)
    assert len(source.problems) >= 64 + 3 + 32
    assert all(one.answer.rpartition("#### ")[2].isdecimal() for one in source.problems)
    assert all(3 <= len(one.steps) <= 5 for one in source.trajectories)
    assert all(len(set(one.endings)) == 4 and 0 <= one.right < 4 for one in source.scenes)
    assert all(5 <= topic.num_tips <= 9 for topic in source.topics)
    assert len(source.document(4, "x").split("\n\n")) == 4 * 7


def test_a_folder_is_read(folder: Path) -> None:
    source = read_folder(folder)
    assert source.examples == [Sum("One and one?", "2")]
    assert source.problems == [Sum("One and two?", "3")]
    assert source.trajectories == [Trajectory("Who?", (Step("I search.", "Search[x]", "x."),))]
    assert (source.articles, source.topics) == (["An article"], [Topic("tea", 6)])
    assert source.characters == ["Anna", "Ben"]
    assert source.scenes == generated(0).scenes


def test_scenes_are_read_where_they_are(folder: Path) -> None:
    (folder / "hellaswag.jsonl").write_text(json.dumps(SCENE), encoding="utf-8")
    (scene,) = read_folder(folder).scenes
    assert (scene.activity, scene.beginning, scene.endings[scene.right]) == ("Rowing", "He rows and", "c")


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_named_with_its_file(folder: Path, name: str) -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write('{"other": 1\n')
    with pytest.raises(ValueError, match=f"{name}, line 2: "):
        read_folder(folder)


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    (folder / "tip_topics.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="tip_topics"):
        read_folder(folder)
