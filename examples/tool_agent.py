"""Tool agent: calls that are objects by construction.

Every turn the model writes one call, as JSON that is held to a union of pydantic models, so there is nothing to parse
and nothing that can be malformed: Python matches over the object, does what it says, and feeds the result back. The
conversation is one growing session; what was read before is not computed again. Run it:

    sgdsl run examples/tool_agent.py
    sgdsl run examples/tool_agent.py -- "We need 6 bags of sugar."
"""

from typing import Literal

from pydantic import BaseModel

import sgdsl as sg

STOCK = {"eggs": 12, "milk": 6, "flour": 3, "sugar": 1}


class Look(BaseModel):
    """Is there enough of something?"""

    tool: Literal["look"]
    item: Literal["eggs", "milk", "flour", "sugar"]
    needed: int


class Order(BaseModel):
    """Buys more of something."""

    tool: Literal["order"]
    item: Literal["eggs", "milk", "flour", "sugar"]
    amount: int


class Answer(BaseModel):
    """Ends the conversation."""

    tool: Literal["answer"]
    text: str


EXAMPLES = """Tools: look tells whether there is enough, order buys more, answer ends.

Request: We need 8 eggs.
Call: {"tool": "look", "item": "eggs", "needed": 8}
Result: enough, 12 in stock.
Call: {"tool": "answer", "text": "There are 12 eggs, which is enough."}

Request: We need 5 bags of sugar.
Call: {"tool": "look", "item": "sugar", "needed": 5}
Result: missing 4, only 1 in stock.
Call: {"tool": "order", "item": "sugar", "amount": 4}
Result: 4 ordered.
Call: {"tool": "answer", "text": "I ordered 4 bags of sugar."}

"""


def perform(call: Look | Order) -> str:
    """What a call comes to."""
    match call:
        case Look(item=item, needed=needed):
            missing = needed - STOCK[item]
            return (f"missing {missing}, only" if missing > 0 else "enough,") + f" {STOCK[item]} in stock."
        case Order(amount=amount):
            return f"{amount} ordered."


@sg.function
def main(s, request: str = "We need 5 bags of flour.", max_turns: int = 5):
    """Fulfils a request with structured tool calls."""
    s += EXAMPLES + f"Request: {request}\n"
    for turn in range(max_turns):
        s += "Call: " + sg.gen(f"call_{turn}", type=Look | Order | Answer, max_tokens=48, temperature=0) + "\n"
        call = s[f"call_{turn}"]
        if isinstance(call, Answer):
            return call.text
        s += f"Result: {perform(call)}\n"
    return None
