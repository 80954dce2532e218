import random

from grammars.cfg.components import components


def test_components_are_the_sets_that_reach_each_other():
    rng = random.Random(1)
    for _ in range(200):
        names = "abcdefg"[: rng.randint(1, 7)]
        edges = {name: rng.choices(names, k=rng.randint(0, 3)) for name in names}
        reach = {name: {name} for name in names}
        for _ in names:
            for name in names:
                reach[name] |= {last for middle in reach[name] for first in edges[middle] for last in reach[first]}
        wanted = {frozenset(other for other in reach[name] if name in reach[other]) for name in names}
        found = components(edges)
        assert {frozenset(component) for component in found} == wanted
        assert sum(map(len, found)) == len(names)


def test_long_chains_need_no_recursion():
    edges = {str(index): [str(index + 1)] for index in range(50_000)} | {"50000": []}
    assert len(components(edges)) == 50_001
