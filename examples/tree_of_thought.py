"""Tree of thought: forks of forks, every path rated, the best one kept.

Three forks each have an idea; each of them forks again and finds two reasons for it. The model rates all six paths with
a select, and the scores of its choices rank them. A fork shares the KV of everything before it. Run it:

    sgdsl run examples/tree_of_thought.py
    sgdsl run examples/tree_of_thought.py -- --person "a woman who reads every evening"
"""

import sgdsl as sg

EXAMPLES = """Person: a man who likes to cook
Gift: a kitchen knife
Reason: he can cut vegetables with it every day.
Rating: good

Person: a boy who is afraid of water
Gift: a day on a boat
Reason: he can sit in the sun.
Rating: bad

Person: a girl who loves horses
Gift: a riding lesson
Reason: she can sit on a real horse.
Rating: good

Person: """


@sg.function
def main(s, person: str = "a boy who likes football", ideas: int = 3, reasons: int = 2):
    """Finds a gift for somebody."""
    s += EXAMPLES + person + "\nGift:"
    thoughts = s.fork(ideas)
    thoughts += lambda i: sg.gen("gift", max_tokens=12, stop=["\n", "."], temperature=0.8, seed=i + 1)
    paths = []
    for thought in thoughts:
        leaves = thought.fork(reasons)
        leaves += lambda i: "\nReason:" + sg.gen("reason", max_tokens=20, stop=["\n", "."], temperature=0.7, seed=i)
        leaves += ".\nRating: " + sg.select("rating", ["good", "bad"])
        paths += [(thought, leaf) for leaf in leaves]
    ranked = sorted(paths, key=lambda path: rating(path[1]), reverse=True)
    s += ranked[0][0]["gift"] + "\nReason:" + ranked[0][1]["reason"] + "."
    return [f"{rating(leaf):.2f}{thought['gift']}:{leaf['reason']}" for thought, leaf in ranked]


def rating(leaf):
    """How much likelier good is than bad, in log probability per token."""
    good, bad = leaf.get_meta_info("rating")["scores"]
    return good - bad
