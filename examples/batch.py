"""Batch: one program over a file, with a few-shot prefix that is computed once.

Every line of the file becomes a run of `classify`. All of them begin with the same examples, so the radix cache holds
those after the first run: the last line says how many prompt tokens needed no computing. Run it:

    sgdsl run examples/batch.py
    sgdsl run examples/batch.py -- --file my_reviews.jsonl
"""

import json
from pathlib import Path

import sgdsl as sg

EXAMPLES = """Each review is positive or negative.

Review: The soup was cold and the waiter was rude.
Mood: negative

Review: Wonderful music, and the best seats I ever had.
Mood: positive

Review: I waited two hours and nobody came.
Mood: negative

Review: It arrived early and works perfectly.
Mood: positive

"""


@sg.function
def classify(s, text: str):
    """The mood of one review."""
    s += EXAMPLES + f"Review: {text}\nMood: " + sg.select("mood", ["positive", "negative"])
    return s["mood"]


@sg.function
def main(s, file: Path = Path(__file__).parent / "data" / "reviews.jsonl"):
    """Classifies every review of a JSON-lines file with the fields `text` and `mood`."""
    reviews = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    classify.cache()
    states = classify.run_batch([{"text": review["text"]} for review in reviews], progress_bar=True)
    for review, state in zip(reviews, states, strict=True):
        s += f"{state.ret_value}: {review['text']}\n"
    usages = [state.usage() for state in states]
    right = sum(state.ret_value == review["mood"] for review, state in zip(reviews, states, strict=True))
    cached = sum(usage.cached_tokens for usage in usages) / sum(usage.prompt_tokens for usage in usages)
    s += f"\n{right} of {len(reviews)} right, {cached:.0%} of the prompt tokens cached\n"
    return {"right": right, "total": len(reviews), "cached": round(cached, 3)}
