"""A source that is made up: the same for the same seed, and of the shape of the published data sets."""

from __future__ import annotations

import random

from benchmarks.prompts import NAMES
from benchmarks.suite.source import Scene, Source, Step, Sum, Topic, Trajectory

__all__ = ["generated"]

NOUNS = ("river", "engine", "teacher", "garden", "letter", "doctor", "bridge", "kitchen", "market", "window")
PLACES = ("village", "museum", "harbour", "library", "factory", "theatre", "station", "school", "forest", "castle")
VERBS = ("repairs", "paints", "measures", "carries", "describes", "visits", "builds", "opens", "draws", "leaves")
MANNERS = ("slowly", "before noon", "with great care", "every summer", "for a friend", "without a word")
ACTIVITIES = ("Cooking", "Rowing", "Painting a fence", "Playing the violin", "Washing a dog", "Climbing")
HABITS = ("sleeping", "travelling", "writing", "saving money", "running", "learning", "cooking", "gardening")
NUM_ENDINGS = 4


def generated(seed: int) -> Source:
    """A source out of words that are drawn."""
    draw = random.Random(f"suite/{seed}")
    return Source(
        name=f"generated with seed {seed}",
        examples=[_sum(draw, steps=draw.randint(2, 4)) for _ in range(20)],
        problems=[_sum(draw, steps=2) for _ in range(400)],
        trajectories=[_trajectory(draw) for _ in range(100)],
        articles=[_article(draw) for _ in range(25)],
        topics=[Topic(f"{draw.choice(HABITS)} {draw.choice(MANNERS)}", draw.randint(5, 9)) for _ in range(50)],
        characters=[f"{first} of the {place}" for first in NAMES for place in PLACES[:7]][:50],
        scenes=[_scene(draw) for _ in range(200)],
    )


def _sentence(draw: random.Random) -> str:
    name, verb, noun, place = draw.choice(NAMES), draw.choice(VERBS), draw.choice(NOUNS), draw.choice(PLACES)
    return f"{name} {verb} the {noun} in the {place} {draw.choice(MANNERS)}."


def _sentences(draw: random.Random, count: int) -> str:
    return " ".join(_sentence(draw) for _ in range(count))


def _sum(draw: random.Random, steps: int) -> Sum:
    name, noun = draw.choice(NAMES), draw.choice(NOUNS)
    total = draw.randint(2, 60)
    told, worked = [f"{name} has {total} pictures of a {noun}."], []
    for _ in range(steps):
        more = draw.randint(2, 30)
        told.append(f"In the {draw.choice(PLACES)} {draw.choice(NAMES)} gives {name} {more} more of them.")
        worked.append(f"{name} then has {total} + {more} = <<{total}+{more}={total + more}>>{total + more} pictures.")
        total += more
    told.append(f"How many pictures of a {noun} does {name} have in the end?")
    return Sum(" ".join(told), "\n".join([*worked, f"#### {total}"]))


def _trajectory(draw: random.Random) -> Trajectory:
    question = f"Who {draw.choice(VERBS)} the {draw.choice(NOUNS)} in the {draw.choice(PLACES)}?"
    steps = []
    for _ in range(draw.randint(3, 5)):
        sought = f"{draw.choice(NOUNS)} of the {draw.choice(PLACES)}"
        thought = f"I need to search {sought} and find who is there."
        steps.append(Step(thought, f"Search[{sought}]", _sentences(draw, draw.randint(2, 12))))
    return Trajectory(question, tuple(steps))


def _article(draw: random.Random) -> str:
    title = f"The {draw.choice(NOUNS).title()} and the {draw.choice(PLACES).title()}"
    paragraphs = (_sentences(draw, draw.randint(7, 11)) for _ in range(6))
    return "\n\n".join((title, *paragraphs))


def _scene(draw: random.Random) -> Scene:
    endings = tuple(f"{draw.choice(VERBS)} the {draw.choice(NOUNS)} {manner}." for manner in MANNERS[:NUM_ENDINGS])
    beginning = f"{_sentence(draw)} Then {draw.choice(NAMES)}"
    return Scene(draw.choice(ACTIVITIES), beginning, endings, draw.randrange(NUM_ENDINGS))
