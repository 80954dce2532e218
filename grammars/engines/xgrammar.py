"""The xgrammar engine: Regex, Choice, JsonSchema, Lark and Gbnf by the library of that name."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from grammars.engines.base import Cancelled, library, portable_pattern, refused
from grammars.engines.native import NativeMatcher, pack
from grammars.engines.xgrammar_losses import losses
from grammars.grammar import MaskRow
from grammars.spec import Choice, Gbnf, JsonObject, JsonSchema, Lark, Regex, Spec
from grammars.vocabulary import Vocabulary

__all__ = ["XgrammarEngine", "XgrammarGrammar"]

WHITESPACE: dict[str, dict[str, Any]] = {
    "fixed": {"any_whitespace": False, "separators": (", ", ": ")},
    "compact": {"any_whitespace": False, "separators": (",", ":")},
    "flexible": {"any_whitespace": True, "max_whitespace_cnt": 8},
}
PLACE = re.compile(r"^\[[\d:]+\] \S+: ")
"""Time and source line that the library's messages begin with."""
ESCAPE = re.compile(r"\\(?:x([0-9A-F]{2})|u([0-9A-F]{4})|U([0-9A-F]{8}))")
CARET_FIRST = re.compile(r"\[\\u\{5E\}(-?)([^\]]*)\]")


class XgrammarEngine:
    """Compiles specs with xgrammar. What it lets through is named in the grammar's warnings.

    Args:
        vocabulary: the tokens texts are made of.
        cache_dir: not used; this engine keeps nothing between processes.

    Raises:
        EngineAbsent: xgrammar is not installed.
    """

    name = "xgrammar"

    def __init__(self, vocabulary: Vocabulary, *, cache_dir: Path | None = None) -> None:
        self._library = library("xgrammar", self.name)
        self._vocabulary = vocabulary
        self._end_row = pack(sorted(vocabulary.end_tokens), vocabulary)

    @cached_property
    def _compiler(self) -> Any:
        """Made when first needed: it takes a while for a large vocabulary."""
        xgrammar, ends = self._library, sorted(self._vocabulary.end_tokens)
        # An empty token is special to xgrammar, and an end token must not be spelled: its text is nobody's to match.
        tokens = [b"" if at in ends else text or b"" for at, text in enumerate(self._vocabulary.tokens)]
        info = xgrammar.TokenizerInfo(tokens, xgrammar.VocabType.RAW, vocab_size=len(tokens), stop_token_ids=ends)
        return xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)

    def compile(self, spec: Spec, is_cancelled: Cancelled | None = None) -> XgrammarGrammar:
        """The grammar of `spec`.

        Raises:
            InvalidSpec: a regex cannot be read.
            UnsupportedConstraint: the library refuses the spec, or does not take its kind.
        """
        warnings: tuple[str, ...] = ()
        spec = spec.schema() if isinstance(spec, JsonObject) else spec
        pattern = _spelled(portable_pattern(spec)) if isinstance(spec, Regex | Choice) else ""
        try:
            if isinstance(spec, Regex | Choice):
                compiled = self._compiler.compile_regex(pattern)
            elif isinstance(spec, JsonSchema):
                compiled = self._of_schema(spec)
                warnings = losses(json.loads(spec.schema), any_order=spec.key_order == "any")
            elif isinstance(spec, Lark):
                compiled = self._compiler.compile_grammar(self._library.Grammar.from_lark(spec.text))
            elif isinstance(spec, Gbnf):
                compiled = self._compiler.compile_grammar(spec.text, root_rule_name=spec.root)
            else:
                raise refused(spec, self.name)
        except (RuntimeError, ValueError, TypeError) as error:
            raise refused(spec, self.name, PLACE.sub("", str(error))) from error
        return XgrammarGrammar(self._library, compiled, self._vocabulary, self._end_row, warnings)

    def _of_schema(self, spec: JsonSchema) -> Any:
        any_order = spec.key_order == "any"
        options = WHITESPACE[spec.whitespace]
        return self._compiler.compile_json_schema(spec.schema, strict_mode=False, any_order=any_order, **options)


class XgrammarGrammar:
    """A spec compiled by xgrammar."""

    def __init__(
        self, xgrammar: Any, compiled: Any, vocabulary: Vocabulary, end_row: MaskRow, warnings: tuple[str, ...]
    ) -> None:
        self.warnings = warnings
        self.num_bytes = int(compiled.memory_size_bytes)
        self._library = xgrammar
        self._compiled = compiled
        self._vocabulary = vocabulary
        self._end_row = end_row

    def matcher(self) -> NativeMatcher:
        """A fresh matcher at the start of the text."""
        native = _Native(self._library.GrammarMatcher(self._compiled))
        return NativeMatcher(native, self._vocabulary, self._end_row)


class _Native:
    """xgrammar's matcher as `grammars.engines.native.Native`."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def fill(self, row: MaskRow) -> None:
        target = row if row.flags.c_contiguous else np.empty_like(row, order="C")
        self._matcher.fill_next_token_bitmask(target.reshape(1, -1))
        if target is not row:
            np.copyto(row, target)

    def accept(self, token: int) -> bool:
        return bool(self._matcher.accept_token(token))

    def forced(self) -> list[int]:
        return []  # it knows bytes, whose tokens would seldom be canonical

    def rollback(self, num_tokens: int) -> None:
        self._matcher.rollback(num_tokens)

    def fork(self) -> _Native:
        return _Native(self._matcher.fork())

    def is_complete(self) -> bool:
        return bool(self._matcher.is_completed())


def _spelled(pattern: str) -> str:
    """The same pattern (a portable one) as xgrammar 0.2.8 reads it.

    Characters are written with braces, for of `\\x` it reads as many hex digits as follow; and no set begins with `^`,
    for it takes even the escaped one for a negation.
    """
    pattern = ESCAPE.sub(lambda found: f"\\u{{{int(found[1] or found[2] or found[3], 16):X}}}", pattern)
    return CARET_FIRST.sub(lambda found: "[" + (r"\u{5F}-" if found[1] else "") + found[2] + r"\u{5E}]", pattern)
