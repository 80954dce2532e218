"""Scenes: the likeliest of four endings, behind twenty solved ones, as in HellaSwag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Scene, Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["SCENES"]


@sg.function
def complete(s, examples: str, activity: str, beginning: str, endings: list[str]):
    s += examples
    s += f"{activity}: {beginning}" + sg.select("ending", [f" {ending}" for ending in endings])
    return s["ending"]


def items(source: Source, size: Size, salt: str) -> Items:
    shots, asked = size.of(20, 2), size.of(24, 2)
    shown = "\n".join(map(_completed, source.scenes[:shots]))
    examples = f"Scenes, {salt}.\n{shown}\n"
    return [
        {
            "examples": examples, "activity": one.activity, "beginning": one.beginning,
            "endings": list(dict.fromkeys(one.endings)),
        }
        for one in source.scenes[shots : shots + asked]
    ]  # fmt: skip


def remark(states: Sequence[Any]) -> str:
    """How the choices were made: by scores, or by an answer that is held to them."""
    return ", ".join(sorted({state.get_meta_info("ending")["choices_method"] for state in states}))


def _completed(one: Scene) -> str:
    return f"{one.activity}: {one.beginning} {one.endings[one.right]}"


SCENES = Workload(
    name="scenes", about="20-shot select of 4 endings, 24 scenes", program=complete, items=items,
    has_fixed_length=False, remark=remark,
)  # fmt: skip
