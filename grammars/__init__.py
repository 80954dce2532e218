"""Constrained decoding: specs, vocabularies, and the grammars made of both. Knows bytes, not models."""

from grammars.compiler import GrammarCompiler, compile_spec
from grammars.errors import GrammarError, GrammarLimit, InvalidSpec, UnsupportedConstraint
from grammars.grammar import Grammar, MaskRow, Matcher
from grammars.mask import fill_masks, unpack
from grammars.spec import (
    AnyOf,
    Choice,
    FreeText,
    Gbnf,
    JsonObject,
    JsonSchema,
    Lark,
    Part,
    Regex,
    Repeat,
    Sequence,
    Spec,
    SpecialToken,
    Stop,
    StructuralTag,
    Suffix,
    Tag,
)
from grammars.vocabulary import Vocabulary

__all__ = [
    "AnyOf",
    "Choice",
    "FreeText",
    "Gbnf",
    "Grammar",
    "GrammarCompiler",
    "GrammarError",
    "GrammarLimit",
    "InvalidSpec",
    "JsonObject",
    "JsonSchema",
    "Lark",
    "MaskRow",
    "Matcher",
    "Part",
    "Regex",
    "Repeat",
    "Sequence",
    "Spec",
    "SpecialToken",
    "Stop",
    "StructuralTag",
    "Suffix",
    "Tag",
    "UnsupportedConstraint",
    "Vocabulary",
    "compile_spec",
    "fill_masks",
    "unpack",
]
