"""Tree of thought: forks of forks, each thought scored, the best path kept.

Three forks each have an idea; each of them forks again and gives two reasons. The model judges all six paths with a
select, whose scores rank them. A fork shares what was read before it, so the question is computed once. Run it:

    sgdsl run examples/tree_of_thought.py
    sgdsl run examples/tree_of_thought.py -- --person "a boy who collects stamps"
"""

import sgdsl as sg

EXAMPLES = """Person: a man who likes to cook
Gift: a good kitchen knife
Reason: he can cut vegetables with it every day.
Does the gift suit the person? yes

Person: a girl who loves horses
Gift: a pair of running shoes
Reason: she can wear them in the city.
Does the gift suit the person? no

Person: """


@sg.function
def main(s, person: str = "a woman who likes to work in her garden", ideas: int = 3, reasons: int = 2):
    """Finds a gift for somebody."""
    s += EXAMPLES + person + "\nGift:"
    thoughts = s.fork(ideas)
    thoughts += lambda i: sg.gen("gift", max_tokens=12, stop=["\n", "."], temperature=0.8, seed=i)
    leaves = [(thought, leaf, i) for thought in thoughts for i, leaf in enumerate(thought.fork(reasons))]
    for _, leaf, i in leaves:
        leaf += "\nReason:" + sg.gen("reason", max_tokens=20, stop=["\n", "."], temperature=0.7, seed=i)
        leaf += ".\nDoes the gift suit the person? " + sg.select("verdict", ["yes", "no"])
    ranked = sorted(leaves, key=lambda path: score(path[1]), reverse=True)
    paths = [f"{score(leaf):+.2f}{thought['gift']}:{leaf['reason']}" for thought, leaf, _ in ranked]
    best = ranked[0][0]["gift"]
    s += best
    return {"best": best.strip(), "paths": paths}


def score(leaf):
    """How much likelier yes is than no, in log probability."""
    yes, no = leaf.get_meta_info("verdict")["scores"]
    return yes - no
