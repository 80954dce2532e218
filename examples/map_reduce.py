"""Map-reduce: a text too long to be read at once is read in pieces, side by side.

Every paragraph goes to a fork that writes one sentence about it (the map); all of them share the examples' KV. They
are forks of a copy, so none of that stays in the state, which only reads the sentences and finds a title (the reduce).
Run it:

    sgdsl run examples/map_reduce.py
    sgdsl run examples/map_reduce.py -- --file my_text.txt
"""

from pathlib import Path

import sgdsl as sg

EXAMPLES = """Text: On Monday it rained all day. The river rose by two metres and water ran into the houses of the old
town. The fire brigade pumped until the morning.
Summary: After heavy rain the river flooded the old town.

Text: The museum opens a new hall in May. It shows forty paintings from Holland, among them three by Vermeer, which were
lent by a family in Delft.
Summary: The museum's new hall shows Dutch paintings.

Text: Owls hunt at night. Their feathers are so soft that a mouse does not hear them come, and they see well where we
see nothing at all.
Summary: Owls are silent hunters of the night.

"""


@sg.function
def main(s, file: Path = Path(__file__).parent / "data" / "bees.txt"):
    """Summarizes a text paragraph by paragraph, and finds a title for it."""
    paragraphs = [" ".join(one.split()) for one in file.read_text(encoding="utf-8").split("\n\n") if one.strip()]
    with s.copy() as reader:
        reader += EXAMPLES
        forks = reader.fork(len(paragraphs))
        forks += [f"Text: {paragraph}\nSummary:" for paragraph in paragraphs]
        forks += sg.gen("summary", max_tokens=32, stop=["\n", "."], temperature=0)
        forks.join()
    summaries = [summary.strip() + "." for summary in s["summary"]]
    s += sg.user("Write a title for this text.\n\n" + "\n".join(summaries))
    s += sg.assistant(sg.gen("title", max_tokens=24, stop="\n", temperature=0))
    return {"title": s["title"].strip(' "'), "summaries": summaries}
