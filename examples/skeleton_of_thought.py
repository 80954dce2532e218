"""Skeleton of thought: first the points, then all of them at once.

The model lists the points of its answer. Then every point is worked out by a fork, all in one batch, instead of one
after the other; the answer takes as long as its longest point. Run it:

    sgdsl run examples/skeleton_of_thought.py
    sgdsl run examples/skeleton_of_thought.py -- "How do I stay healthy?"
"""

import sgdsl as sg

EXAMPLES = """Question: How do I sleep better?
Points:
1. A regular day
2. Less coffee
3. A dark room
In detail:
1. A regular day: your body likes to sleep and to wake up at the same hours.
2. Less coffee: what you drink in the afternoon still keeps you awake at night.
3. A dark room: light tells the body that it is day, so close the curtains.

Question: What makes a garden beautiful?
Points:
1. Flowers
2. Old trees
3. Water
In detail:
1. Flowers: they bloom in all colours from the spring to the autumn.
2. Old trees: they give shade in the summer, and birds build their nests in them.
3. Water: even a small pond brings frogs and dragonflies.

"""


@sg.function
def main(s, question: str = "What do I need for a picnic?", points: int = 3):
    """Answers a question point by point."""
    s += EXAMPLES + f"Question: {question}\nPoints:\n"
    for number in range(1, points + 1):
        s += f"{number}." + sg.gen(f"point_{number}", max_tokens=10, stop="\n", temperature=0) + "\n"
    s += "In detail:\n"
    names = [s[f"point_{number}"].strip() for number in range(1, points + 1)]
    forks = s.fork(points)
    forks += lambda i: f"{i + 1}. {names[i]}:" + sg.gen("detail", max_tokens=32, stop=["\n", "."], temperature=0)
    forks.join()
    for number, (name, detail) in enumerate(zip(names, s["detail"], strict=True), start=1):
        s += f"{number}. {name}:{detail}.\n"
    return {name: detail.strip() + "." for name, detail in zip(names, s["detail"], strict=True)}
