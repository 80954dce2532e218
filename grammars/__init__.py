"""Constrained decoding: specs, vocabularies, and the grammars made of both. Knows bytes, not models."""

from grammars.errors import GrammarError, GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.grammar import Grammar, MaskRow, Matcher
from grammars.spec import Choice, JsonSchema, Regex, Spec
from grammars.vocabulary import Vocabulary

__all__ = [
    "Choice",
    "Grammar",
    "GrammarError",
    "GrammarLimit",
    "InvalidSpec",
    "JsonSchema",
    "MaskRow",
    "Matcher",
    "Regex",
    "Spec",
    "UnsupportedConstraint",
    "Vocabulary",
]
