"""Quickstart: one program with chat roles, a gen and a select.

The model answers a question in its own words (`gen`), then names the school subject it belongs to (`select`). Run it:

    sgdsl run examples/quickstart.py
    sgdsl run examples/quickstart.py -- "Who wrote Hamlet?"
"""

import sgdsl as sg


@sg.function
def main(s, question: str = "Why is the sky blue?"):
    """Answers a question and names its school subject."""
    s += sg.system("You answer in one sentence.")
    s += sg.user(question)
    s += sg.assistant(sg.gen("answer", max_tokens=32, stop=".", temperature=0) + ".")
    s += sg.user("Which school subject is that?")
    s += sg.assistant("That is " + sg.select("subject", ["art", "literature", "science"]) + ".")
    return s["subject"]
