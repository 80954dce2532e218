"""Prompts of an exact length: words that are one token each, drawn with a seed."""

from __future__ import annotations

import random
from functools import cache

from runtime.tokenizer import Tokenizer

WORDS = (
    "the river stone market teacher engine garden winter music letter window doctor planet forest silver bridge "
    "coffee kitchen ocean history number village machine paper summer train island color animal question answer "
    "building street friend mountain picture story science table water light sound people child school morning"
)

NAMES = ("Anna", "Ben", "Carla", "David", "Eve", "Frank", "Grace", "Hugo")
CITIES = ("Paris", "London", "Tokyo", "Cairo", "Lima", "Oslo")
ROLES = ("engineer", "teacher", "doctor", "artist")
SKILLS = ("python", "cooking", "music", "math")

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "city": {"type": "string", "maxLength": 24},
        "role": {"type": "string", "enum": list(ROLES)},
        "active": {"type": "boolean"},
        "skills": {"type": "array", "items": {"type": "string", "enum": list(SKILLS)}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "city", "role", "active", "skills"],
    "additionalProperties": False,
}


@cache
def _single_token_words(tokenizer: Tokenizer) -> tuple[str, ...]:
    return tuple(f" {word}" for word in WORDS.split() if len(tokenizer.encode(f" {word}")) == 1)


def words(tokenizer: Tokenizer, count: int, seed: str) -> str:
    """A text of exactly `count` tokens."""
    draw = random.Random(seed)
    text = "".join(draw.choices(_single_token_words(tokenizer), k=count))
    length = len(tokenizer.encode(text))
    if length != count:
        raise ValueError(f"the text has {length} tokens, not {count}")
    return text


def person(seed: str) -> str:
    """A sentence about somebody, and the request to put it into JSON."""
    draw = random.Random(seed)
    return (
        f"{draw.choice(NAMES)} is a {draw.randint(18, 80)}-year-old {draw.choice(ROLES)} living in "
        f"{draw.choice(CITIES)} who is {draw.choice(('still', 'no longer'))} active and knows "
        f"{draw.choice(SKILLS[:2])} and {draw.choice(SKILLS[2:])}. Return the person as a JSON object "
        "with the keys name, age, city, role, active, skills."
    )
