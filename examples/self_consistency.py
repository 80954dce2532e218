"""Self-consistency: many ways of thinking, one vote.

Forks think about the same question, each with a seed of its own, so they come to it in different ways. The answer that
most of them reach is taken. Forks share the KV of the examples, and run in one batch. Run it:

    sgdsl run examples/self_consistency.py
    sgdsl run examples/self_consistency.py -- "A cat has 4 legs. How many legs have 3 cats?" --votes 16
"""

from collections import Counter

import sgdsl as sg

EXAMPLES = """Question: Tom has 4 apples and buys 3 more. How many apples does he have?
Thought: He has 4 apples and 3 more, so 4 + 3 = 7.
Answer: 7

Question: There are 9 birds in a tree. 5 fly away. How many birds are left?
Thought: 9 birds less 5 birds, so 9 - 5 = 4.
Answer: 4

Question: A box holds 6 eggs. How many eggs are in 2 boxes?
Thought: Every box holds 6 eggs, so 2 * 6 = 12.
Answer: 12

"""


@sg.function
def main(s, question: str = "Ben has 6 books and gets 3 more. How many books does he have?", votes: int = 8):
    """Answers a question about numbers by a vote of several forks."""
    s += EXAMPLES + f"Question: {question}\nThought:"
    forks = s.fork(votes)
    forks += lambda i: sg.gen("thought", max_tokens=32, stop="\n", temperature=0.7, seed=i)
    forks += "\nAnswer: " + sg.gen("answer", max_tokens=4, type=int, temperature=0)
    forks.join()
    tally = Counter(s["answer"])
    winner, count = tally.most_common(1)[0]
    s += s["thought"][s["answer"].index(winner)] + f"\nAnswer: {winner}\n"
    return {"answer": winner, "votes": f"{count} of {votes}", "tally": dict(tally.most_common())}
