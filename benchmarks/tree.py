"""What the radix tree costs at a million nodes: microseconds an operation, and bytes a node.

python -m benchmarks.tree [--nodes N] [--policy NAME]
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable, Sequence

from runtime.ledger import Owner
from runtime.memory.eviction import POLICIES
from runtime.memory.node import TOKEN_BYTES, Node
from runtime.memory.pages import PagePool
from runtime.memory.radix import RadixTree

PAGE_SIZE = 16
PROMPT_PAGES = 8
FIXED_MICROSECONDS = 20.0
TOKEN_MICROSECONDS = 0.1
MOST_BYTES = 400


def prompt(number: int) -> list[int]:
    """Pages that a few, some, many prompts share, and pages of this one alone: nearly every page is a node."""
    tokens: list[int] = []
    for depth in range(PROMPT_PAGES):
        shared = number // (4 ** (PROMPT_PAGES - 1 - depth))
        first = 1000 + (shared * 7919 + depth) % 40_009
        tokens += [shared >> 8, *range(first, first + PAGE_SIZE - 1)]
    return tokens


def fill(tree: RadixTree, num_nodes: int) -> list[list[int]]:
    """Inserts prompts until there are so many nodes; returns some of them."""
    kept: list[list[int]] = []
    number = 0
    while tree.num_nodes < num_nodes:
        tokens = prompt(number)
        tree.insert(tokens, tree.pool.allocate(PROMPT_PAGES, Owner.REQUEST), Owner.REQUEST)
        if number % 97 == 0:
            kept.append(tokens)
        number += 1
    return kept


def microseconds(action: Callable[[list[int]], object], prompts: Sequence[list[int]]) -> float:
    """The mean over all prompts, in time of the processor: what else the machine does is not counted."""
    start = time.process_time()
    for tokens in prompts:
        action(tokens)
    return (time.process_time() - start) / len(prompts) * 1e6


def operations(tree: RadixTree, prompts: list[list[int]]) -> dict[str, float]:
    """Name of the operation → its microseconds."""
    length = PROMPT_PAGES * PAGE_SIZE
    fresh = [[7, *tokens[1:]] for tokens in prompts]
    pages = [tree.pool.allocate(PROMPT_PAGES, Owner.REQUEST) for _ in fresh]
    nodes = [tree.match(tokens, length).node for tokens in prompts]
    nodes_left, pages_left = iter(nodes), iter(pages)
    return {
        "match": microseconds(lambda tokens: tree.match(tokens, length), prompts),
        "take + unlock": microseconds(lambda tokens: tree.unlock(tree.take(tree.match(tokens, length))), prompts),
        "lock + unlock": microseconds(lambda _: _lock(tree, next(nodes_left)), prompts),
        "insert": microseconds(lambda tokens: tree.insert(tokens, next(pages_left), Owner.REQUEST), fresh),
        "evict one leaf": microseconds(lambda _: tree.evict(1), prompts),
    }


def _lock(tree: RadixTree, node: Node) -> None:
    tree.lock(node)
    tree.unlock(node)


def main() -> int:
    """Prints the figures; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--policy", choices=sorted(POLICIES), default="lru")
    options = parser.parse_args()
    pool = PagePool(options.nodes + (1 << 16) + options.nodes // 8, PAGE_SIZE)
    tree = RadixTree(pool, POLICIES[options.policy])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    prompts = fill(tree, options.nodes)
    prompt_bytes = len(prompts) * PROMPT_PAGES * PAGE_SIZE * (8 + 28)  # a list's place and an integer a token
    with_tokens = (tracemalloc.get_traced_memory()[0] - before - prompt_bytes) / tree.num_nodes
    node_bytes = with_tokens - PAGE_SIZE * TOKEN_BYTES
    tracemalloc.stop()
    took = operations(tree, prompts)
    allowed = FIXED_MICROSECONDS + TOKEN_MICROSECONDS * PROMPT_PAGES * PAGE_SIZE
    print(
        json.dumps(
            {
                "nodes": tree.num_nodes,
                "policy": options.policy,
                "prompt_tokens": PROMPT_PAGES * PAGE_SIZE,
                "microseconds_allowed": allowed,
                "microseconds": {name: round(value, 2) for name, value in took.items()},
                "bytes_per_node_allowed": MOST_BYTES,
                "bytes_per_node": round(node_bytes),
                "bytes_per_node_with_its_tokens": round(with_tokens),
            },
            indent=1,
        )
    )
    return int(node_bytes > MOST_BYTES or max(took.values()) > allowed)


if __name__ == "__main__":
    raise SystemExit(main())
