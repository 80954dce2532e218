"""Constrained decoding: specs, vocabularies, and the grammars made of both. Knows bytes, not models."""

from grammars.compiler import GrammarCompiler, compile_spec
from grammars.errors import GrammarError, GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.grammar import Grammar, MaskRow, Matcher
from grammars.mask import fill_masks, unpack
from grammars.spec import Choice, JsonSchema, Regex, Spec
from grammars.vocabulary import Vocabulary

__all__ = [
    "Choice",
    "Grammar",
    "GrammarCompiler",
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
    "compile_spec",
    "fill_masks",
    "unpack",
]
