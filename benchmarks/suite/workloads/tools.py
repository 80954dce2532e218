"""Tools: agents whose calls are objects under a schema, and whose results are told them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import sgdsl as sg
from benchmarks.suite.size import Size
from benchmarks.suite.source import Source
from benchmarks.suite.workload import Items, Workload

__all__ = ["TOOLS"]

GOODS = ("eggs", "milk", "flour", "sugar", "butter", "salt")
CALL = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "enum": ["look", "order", "compare"]},
        "item": {"type": "string", "enum": list(GOODS)},
        "amount": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["tool", "item", "amount"],
    "additionalProperties": False,
}
RULES = """You keep the stock of a bakery. You have three tools. look tells how much there is of an item. order buys
more of it. compare tells what other bakeries pay for it. Call one of them in each turn, as a JSON object with the keys
tool, item and amount, for example {"tool": "look", "item": "eggs", "amount": 12}. Items are eggs, milk, flour, sugar,
butter and salt."""


@sg.function
def keep_stock(s, rules: str, request: str, stock: Mapping[str, int], turns: int, tokens: int):
    s += sg.system(rules)
    s += sg.user(request)
    for turn in range(turns):
        s += sg.assistant(sg.gen(f"call_{turn}", 64, json_schema=CALL, ignore_eos=False))
        then = "Go on." if turn + 1 < turns else "Now say what you have done."
        s += sg.user(f"Result: {_perform(s.text_of(f'call_{turn}'), stock)} {then}")
    s += sg.assistant(sg.gen("report", tokens))
    return s["report"]


def _perform(text: str, stock: Mapping[str, int]) -> str:
    try:
        call = json.loads(text)
    except ValueError:
        return "that was no whole call."
    item, amount = call["item"], call["amount"]
    if call["tool"] == "look":
        return f"there are {stock[item]} {item}, {amount} were asked for."
    if call["tool"] == "order":
        return f"{amount} {item} are on their way and come tomorrow before noon."
    return f"other bakeries pay {stock[item] % 7 + 1} euros for {amount} {item}."


def items(source: Source, size: Size, salt: str) -> Items:
    draw = random.Random("stock")
    rules = f"{RULES} Session {salt}."
    return [
        {
            "rules": rules, "request": f"We bake {draw.randint(2, 90)} cakes tomorrow. Is there enough {item}?",
            "stock": {name: draw.randint(0, 99) for name in GOODS}, "turns": size.of(3, 1), "tokens": size.of(32, 5),
        }
        for item in (GOODS * 2)[: size.of(12, 2)]
    ]  # fmt: skip


def remark(states: Sequence[Any]) -> str:
    """How many calls are whole."""
    texts = [text for state in states for text in _calls(state)]
    return f"{sum(_is_whole(text) for text in texts)}/{len(texts)} calls valid"


def _calls(state: Any) -> list[str]:
    found, turn = [], 0
    while f"call_{turn}" in state:
        found.append(state.text_of(f"call_{turn}"))
        turn += 1
    return found


def _is_whole(text: str) -> bool:
    try:
        return set(json.loads(text)) == set(CALL["required"])
    except ValueError:
        return False


TOOLS = Workload(
    name="tools", about="12 agents with tools, 3 calls and a report", program=keep_stock, items=items,
    is_chat=True, has_fixed_length=False, remark=remark,
)  # fmt: skip
