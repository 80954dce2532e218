"""The llguidance engine: Regex, Choice, JsonSchema, Lark and Gbnf by the library of that name."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from grammars.engines.base import Cancelled, library, portable_pattern, refused
from grammars.engines.native import NativeMatcher, pack
from grammars.errors import GrammarLimit, UnsupportedConstraint
from grammars.grammar import MaskRow
from grammars.spec import Choice, Gbnf, JsonObject, JsonSchema, Lark, Regex, Spec
from grammars.vocabulary import Vocabulary

__all__ = ["LlguidanceEngine", "LlguidanceGrammar"]

WHITESPACE: dict[str, dict[str, Any]] = {
    "fixed": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "},
    "compact": {"whitespace_flexible": False},
    "flexible": {"whitespace_pattern": r"[ \t\n\r]{0,8}"},
}
FORMATS_ASSERTED = "format is enforced, although the spec only annotates with it"
OVERHEAD_BYTES = 2**18
"""What a compiled grammar takes at least; the library tells no figure."""


class LlguidanceEngine:
    """Compiles specs with llguidance, strictly: a keyword it does not implement is refused.

    Keys come in the schema's order only. Its special tokens need `Vocabulary.special`.

    Args:
        vocabulary: the tokens texts are made of.
        cache_dir: not used; this engine keeps nothing between processes.

    Raises:
        EngineAbsent: llguidance is not installed.
    """

    name = "llguidance"

    def __init__(self, vocabulary: Vocabulary, *, cache_dir: Path | None = None) -> None:
        self._library = library("llguidance", self.name)
        self._vocabulary = vocabulary
        self._end_row = pack(sorted(vocabulary.end_tokens), vocabulary)

    @cached_property
    def _tokenizer(self) -> Any:
        """Made when first needed: it takes a while for a large vocabulary."""
        wrapper = library("llguidance._tokenizer", self.name).TokenizerWrapper(_Tokens(self._vocabulary))
        ends = sorted(self._vocabulary.end_tokens)
        return self._library.LLTokenizer(wrapper, n_vocab=len(self._vocabulary), eos_token=ends)

    def compile(self, spec: Spec, is_cancelled: Cancelled | None = None) -> LlguidanceGrammar:
        """The grammar of `spec`.

        Raises:
            InvalidSpec: a regex cannot be read.
            UnsupportedConstraint: the library refuses the spec, or does not take its kind.
        """
        written, warnings = self._written(spec)
        matcher = self._library.LLMatcher(self._tokenizer, written, log_level=0)
        if matcher.is_error():
            raise refused(spec, self.name, matcher.get_error())
        warnings += tuple(matcher.get_grammar_warnings())
        return LlguidanceGrammar(matcher, self._vocabulary, self._end_row, warnings, len(written))

    def _written(self, spec: Spec) -> tuple[str, tuple[str, ...]]:
        """The spec in the library's own form, and what that form leaves out."""
        of_matcher = self._library.LLMatcher
        if isinstance(spec, Regex | Choice):
            return of_matcher.grammar_from_regex(portable_pattern(spec)), ()
        if isinstance(spec, JsonSchema | JsonObject):
            return self._of_schema(spec.schema() if isinstance(spec, JsonObject) else spec)
        if isinstance(spec, Lark):
            return of_matcher.grammar_from_lark(spec.text), ()
        if isinstance(spec, Gbnf) and spec.root == "root":
            to_lark: Callable[[str], str] = library("llguidance.gbnf_to_lark", self.name).gbnf_to_lark
            try:
                return of_matcher.grammar_from_lark(to_lark(spec.text)), ()
            except Exception as error:  # its reader raises errors of several kinds
                raise refused(spec, self.name, str(error)) from error
        raise refused(spec, self.name)

    def _of_schema(self, spec: JsonSchema) -> tuple[str, tuple[str, ...]]:
        if spec.key_order == "any":
            raise UnsupportedConstraint("key_order", "", f"{self.name} writes keys in the schema's order only")
        schema: Any = json.loads(spec.schema)
        if isinstance(schema, bool):
            schema = {} if schema else {"not": {}}
        warnings = (FORMATS_ASSERTED,) if spec.formats == "annotate" and '"format"' in spec.schema else ()
        options = WHITESPACE[spec.whitespace]
        return self._library.LLMatcher.grammar_from_json_schema(schema, overrides=options), warnings


class LlguidanceGrammar:
    """A spec compiled by llguidance.

    Args:
        matcher: at the start of the text; copied, never advanced.
        num_chars: length of the grammar as text, which its size is guessed from.
    """

    def __init__(
        self, matcher: Any, vocabulary: Vocabulary, end_row: MaskRow, warnings: tuple[str, ...], num_chars: int
    ) -> None:
        self.warnings = warnings
        self.num_bytes = OVERHEAD_BYTES + 16 * num_chars
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._end_row = end_row

    def matcher(self) -> NativeMatcher:
        """A fresh matcher at the start of the text."""
        native = _Native(self._matcher.deep_copy(), is_canonical=self._vocabulary.encode is not None)
        return NativeMatcher(native, self._vocabulary, self._end_row)


class _Native:
    """llguidance's matcher as `grammars.engines.native.Native`."""

    def __init__(self, matcher: Any, *, is_canonical: bool) -> None:
        self._matcher = matcher
        self._is_canonical = is_canonical

    def fill(self, row: MaskRow) -> None:
        target = row if row.flags.c_contiguous else np.empty_like(row, order="C")
        self._matcher.unsafe_compute_mask_ptr(target.ctypes.data, target.nbytes)
        if self._matcher.is_error():
            raise GrammarLimit(f"llguidance: {self._matcher.stop_reason()}")
        if target is not row:
            np.copyto(row, target)

    def accept(self, token: int) -> bool:
        return bool(self._matcher.try_consume_tokens([token]) == 1)

    def forced(self) -> list[int]:
        return list(self._matcher.compute_ff_tokens()) if self._is_canonical else []

    def rollback(self, num_tokens: int) -> None:
        self._matcher.rollback(num_tokens)

    def fork(self) -> _Native:
        return _Native(self._matcher.deep_copy(), is_canonical=self._is_canonical)

    def is_complete(self) -> bool:
        return bool(self._matcher.is_accepting())


class _Tokens:
    """A vocabulary as llguidance asks for it."""

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        names = {token: text.encode() for text, token in vocabulary.special.items()}
        ends = vocabulary.end_tokens
        self.special_token_ids = [at for at, text in enumerate(vocabulary.tokens) if not text or at in ends]
        special = set(self.special_token_ids)
        self.tokens = [
            names.get(at, b"<|special_%d|>" % at) if at in special else text
            for at, text in enumerate(vocabulary.tokens)
        ]
        self.eos_token_id = min(ends)
        self._encode = vocabulary.encode
        self._bytes = {text: at for at, text in enumerate(vocabulary.tokens) if text and len(text) == 1}

    def __call__(self, text: str) -> list[int]:
        if self._encode is not None:
            return self._encode(text)
        return [self._bytes[bytes([byte])] for byte in text.encode() if bytes([byte]) in self._bytes]
