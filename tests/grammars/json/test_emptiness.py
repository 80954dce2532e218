"""Least fixpoints, against plain iteration on random graphs."""

from __future__ import annotations

import random

import pytest

from grammars.json.emptiness import Asking, Emptiness
from grammars.json.node import TRUE, Node, Nodes


def graph(rng: random.Random, nodes: Nodes) -> dict[Node, list[list[Node]]]:
    """For every node the sets of nodes that give it a value when each of them has one."""
    places = [nodes.ref(str(at), False, lambda: TRUE) for at in range(rng.randint(1, 9))]
    sizes = (0, 1, 1, 2, 3)
    return {place: [rng.choices(places, k=rng.choice(sizes)) for _ in range(rng.randint(0, 3))] for place in places}


def alive_by_iteration(ways: dict[Node, list[list[Node]]]) -> set[Node]:
    alive: set[Node] = set()
    while True:
        more = {node for node, options in ways.items() if any(alive.issuperset(option) for option in options)}
        if more == alive:
            return alive
        alive = more


@pytest.mark.parametrize("seed", range(300))
def test_random_graphs(seed: int) -> None:
    rng = random.Random(seed)
    ways = graph(rng, Nodes())

    def ask(node: Node) -> Asking:
        for option in ways[node]:
            lacking = False
            for needed in option:
                lacking = lacking or (yield needed)
            if not lacking:
                return True
        return False

    emptiness = Emptiness(lambda node: ask(node) if ways[node] else True)
    alive = alive_by_iteration(ways)
    for node in rng.sample(list(ways), len(ways)):
        assert emptiness.is_empty(node) is (node not in alive)
