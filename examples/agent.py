"""Agent: a ReAct loop with a calculator and a search tool.

The model thinks, selects a tool, writes its input, and reads what came of it, until it selects `finish`. Each turn
extends the same session, so nothing that was read before is computed again. Run it:

    sgdsl run examples/agent.py
    sgdsl run examples/agent.py -- "How long are the Elbe and the Danube together?"
"""

import ast
import operator
from pathlib import Path

import sgdsl as sg

DOCUMENTS = [
    "Mont Blanc is 4806 metres high.",
    "Ben Nevis is 1345 metres high.",
    "Mount Etna is 3357 metres high.",
    "The Rhine is 1230 kilometres long.",
    "The Elbe is 1094 kilometres long.",
    "The Danube is 2850 kilometres long.",
]

EXAMPLES = (Path(__file__).parent / "data" / "agent.txt").read_text(encoding="utf-8")

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def calculate(expression: str) -> str:
    """Works out a sum. Only numbers and + - * / are understood: nothing is ever executed."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        raise ValueError(expression)

    try:
        return f"{value(ast.parse(expression.strip(), mode='eval').body):.12g}"
    except (ValueError, SyntaxError, ZeroDivisionError):
        return "That is not a sum I can work out."


def search(query: str) -> str:
    """The document that has most words of the query."""
    words = set(query.lower().split())
    scores = [len(words & set(document.lower().rstrip(".").split())) for document in DOCUMENTS]
    return DOCUMENTS[scores.index(max(scores))] if max(scores) else "Nothing found."


TOOLS = {"search": (search, r" [A-Z][A-Za-z ]{2,20}\n"), "calculate": (calculate, r" [0-9]+ [-+*/] [0-9]+\n")}


@sg.function
def main(s, question: str = "How long are the Rhine and the Elbe together?", max_turns: int = 6):
    """Answers a question with two tools."""
    s += f"{EXAMPLES}\nQuestion: {question}\n"
    for turn in range(max_turns):
        s += "Thought:" + sg.gen(f"thought_{turn}", max_tokens=20, stop="\n", temperature=0)
        s += "\nAction: " + sg.select(f"action_{turn}", ["search", "calculate", "finish"]) + "\nInput:"
        if s[f"action_{turn}"] == "finish":
            break
        tool, pattern = TOOLS[s[f"action_{turn}"]]
        s += sg.gen(f"input_{turn}", max_tokens=16, regex=pattern, temperature=0)
        s += f"Result: {tool(s[f'input_{turn}'].strip())}\n"
    s += sg.gen("answer", max_tokens=8, stop="\n", temperature=0)
    return s["answer"].strip()
