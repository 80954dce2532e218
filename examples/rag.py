"""Retrieval-augmented generation: the passages that fit a question, an answer from one of them, and its source.

The passages of a folder of text files are ranked by BM25, which is a few lines of Python. Each of the best three is
read by a fork of its own, which answers from that passage alone. The answer that the model was surest of is taken, by
the log probabilities of its tokens, and the passage it came from is its source. Run it:

    sgdsl run examples/rag.py
    sgdsl run examples/rag.py -- "How long does the ferry take?"
    sgdsl run examples/rag.py -- "What is in my notes?" --folder my_notes
"""

import math
import re
from collections import Counter
from pathlib import Path

import sgdsl as sg

EXAMPLES = """Text: The old mill was built in 1790. It grinds oats for the whole valley.
Question: What does the mill grind?
Answer: oats

Text: The pond freezes in January. It is 4 metres deep.
Question: How deep is the pond?
Answer: 4 metres

Text: The bakery of Anna Holm is open from 6 to 11 o'clock.
Question: Who is the baker?
Answer: Anna Holm

"""


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"\w+", text.lower())


def best(question: str, passages: list[str], count: int, k: float = 1.5, b: float = 0.75) -> list[str]:
    """The passages with the highest BM25 scores: rare words of the question count more, long passages less."""
    bags = [Counter(words(passage)) for passage in passages]
    mean_length = sum(bag.total() for bag in bags) / len(bags)

    def score(bag: Counter[str]) -> float:
        total = 0.0
        for word in set(words(question)):
            containing = sum(word in other for other in bags)
            rarity = math.log(1 + (len(bags) - containing + 0.5) / (containing + 0.5))
            total += rarity * bag[word] * (k + 1) / (bag[word] + k * (1 - b + b * bag.total() / mean_length))
        return total

    ranked = sorted(range(len(bags)), key=lambda index: score(bags[index]), reverse=True)
    return [passages[index] for index in ranked[:count]]


@sg.function
def main(
    s, question: str = "Who built the lighthouse?", folder: Path = Path(__file__).parent / "data" / "passages"
):  # fmt: skip
    """Answers a question from a folder of text files, and cites the passage."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.txt"))]
    passages = [" ".join(one.split()) for text in texts for one in text.split("\n\n") if one.strip()]
    found = best(question, passages, count=3)
    s += EXAMPLES
    forks = s.fork(len(found))
    forks += [f"Text: {passage}\nQuestion: {question}\nAnswer:" for passage in found]
    forks += sg.gen("answer", max_tokens=20, stop="\n", temperature=0, return_logprob=True)
    surest, source = max(zip(forks, found, strict=True), key=lambda pair: confidence(pair[0]))
    s += f"Text: {source}\nQuestion: {question}\nAnswer:{surest['answer']}\n"
    return {"answer": surest["answer"].strip(), "source": source, "confidence": round(confidence(surest), 2)}


def confidence(fork: sg.ProgramState) -> float:
    """How likely the answer's tokens were on the average, from 0 to 1."""
    logprobs = [logprob for logprob, *_ in fork.get_meta_info("answer")["output_token_logprobs"]]
    return math.exp(sum(logprobs) / len(logprobs)) if logprobs else 0.0
