"""Extraction: from prose to data that is valid by construction.

The first gen is held to a JSON schema, and its value is the JSON text. The second is held to a pydantic model, and its
value is an object of it. Two examples in the prompt show a small model what is wanted. Run it:

    sgdsl run examples/extraction.py
    sgdsl run examples/extraction.py --json
"""

import json

from pydantic import BaseModel, Field

import sgdsl as sg

BOOK_SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 40},
        "author": {"type": "string", "maxLength": 40},
        "year": {"type": "integer"},
    },
    "required": ["title", "author", "year"],
    "additionalProperties": False,
}


class Recipe(BaseModel):
    """What a recipe needs."""

    dish: str
    minutes: int
    ingredients: list[str] = Field(max_length=4)


BOOKS = """Text: In 1813 Jane Austen published Pride and Prejudice.
JSON: {"title": "Pride and Prejudice", "author": "Jane Austen", "year": 1813}

Text: Moby Dick, a novel by Herman Melville, came out in 1851.
JSON: {"title": "Moby Dick", "author": "Herman Melville", "year": 1851}

"""

RECIPES = """Text: Porridge is oats and milk, cooked for 10 minutes.
JSON: {"dish": "Porridge", "minutes": 10, "ingredients": ["oats", "milk"]}

Text: For a tomato salad cut tomatoes, onions and basil, which takes 5 minutes.
JSON: {"dish": "Tomato salad", "minutes": 5, "ingredients": ["tomatoes", "onions", "basil"]}

"""


@sg.function
def book(s, text: str):
    """The book a text is about, as JSON."""
    s += BOOKS + f"Text: {text}\nJSON: " + sg.gen("book", max_tokens=60, json_schema=BOOK_SCHEMA, temperature=0)
    return json.loads(s["book"])


@sg.function
def recipe(s, text: str):
    """The recipe a text describes, as an object."""
    s += RECIPES + f"Text: {text}\nJSON: " + sg.gen("recipe", max_tokens=60, type=Recipe, temperature=0)
    return s["recipe"]


@sg.function
def main(s):
    """Extracts a book and a recipe."""
    found = s.call(book, "In 1818 Mary Shelley published Frankenstein.")
    s += "\n\n"
    made = s.call(recipe, "Pancakes are made of flour, eggs and milk, which takes 20 minutes.")
    return {"book": found, "recipe": made}
