"""The grammar engine as the harness of grammar engines sees it (`--engine benchmarks.grammar_adapter:Adapter`).

The harness hands over a tokenizer (`bytes()`, `encode(text)`, `eos`), compiles schemas, and follows JSON texts written
with `, ` and `: ` in any order of keys.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from grammars import JsonSchema, Matcher, Vocabulary, unpack
from grammars.engines.registry import DEFAULT, engine_named
from grammars.spec import Formats, KeyOrder, Unsatisfiable, Whitespace

__all__ = ["Adapter", "AdapterCompact", "AdapterSpaced", "AdapterSuite", "Followed"]


class HarnessTokenizer(Protocol):
    """What is used of the harness's tokenizer."""

    @property
    def eos(self) -> int:
        """The token that ends a text."""

    def bytes(self) -> list[bytes | None]:
        """The bytes of every token, None for a special one."""

    def encode(self, s: str) -> list[int]:
        """The canonical tokens of a text."""


class Adapter:
    """Compiles schemas anew each time: nothing is cached but what belongs to the vocabulary."""

    name = "sgdsl"
    engine: ClassVar[str] = DEFAULT
    whitespace: ClassVar[Whitespace] = "fixed"
    key_order: ClassVar[KeyOrder] = "any"
    formats: ClassVar[Formats] = "assert"
    unsatisfiable: ClassVar[Unsatisfiable] = "error"

    def __init__(self, tok: HarnessTokenizer) -> None:
        self._vocabulary = Vocabulary(tok.bytes(), [tok.eos], encode=tok.encode)
        self._engine = engine_named(self.engine)(self._vocabulary)

    def compile(self, schema: Any) -> Followed:
        """A matcher at the start of a text; raises what the engine raises for a schema it does not take."""
        spec = JsonSchema(json.dumps(schema), self.whitespace, self.key_order, self.formats, self.unsatisfiable)
        grammar = self._engine.compile(spec)
        return Followed(grammar, grammar.matcher(), self._vocabulary)


class AdapterSuite(Adapter):
    """For the test suite of JSON Schema: formats are annotations, and schemas that nothing satisfies compile."""

    formats = "annotate"
    unsatisfiable = "empty"


class AdapterSpaced(Adapter):
    """As models write: keys in the schema's order."""

    key_order = "schema"


class AdapterCompact(AdapterSpaced):
    """The same without whitespace."""

    whitespace = "compact"


class Followed:
    """One text, followed token by token."""

    def __init__(self, grammar: Any, matcher: Matcher, vocabulary: Vocabulary) -> None:
        self._grammar = grammar
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._row = np.zeros(vocabulary.mask_words, np.int32)
        self._mask_into = matcher.mask_into
        self.accept = matcher.accept

    def fill(self) -> None:
        """Computes the mask, and keeps it."""
        self._mask_into(self._row)

    def allowed(self, token: int) -> bool:
        """Whether the mask computed last allows a token."""
        return bool(int(self._row[token >> 5]) >> (token & 31) & 1)

    def mask(self) -> npt.NDArray[np.bool_]:
        """The mask as booleans [V]."""
        self.fill()
        mask: npt.NDArray[np.bool_] = unpack(self._row[None], len(self._vocabulary))[0]
        return mask

    def is_complete(self) -> bool:
        """Whether the text may end here."""
        return self._matcher.is_complete()

    def reset(self) -> Followed:
        """A matcher at the start of another text of the same grammar."""
        return Followed(self._grammar, self._grammar.matcher(), self._vocabulary)

    def jump(self) -> bytes:
        """The bytes that must come next."""
        forced: bytes = getattr(self._matcher, "forced_bytes", bytes)()
        return forced

    def ff_tokens(self) -> list[int]:
        """The tokens that must come next."""
        return self._matcher.forced()

    def err(self) -> str:
        """Nothing: this engine raises."""
        return ""
