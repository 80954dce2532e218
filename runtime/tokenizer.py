"""Tokenizer: text to token ids and back, with what the engine needs to know about single tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from tokenizers import Tokenizer as Backend

from grammars import Vocabulary
from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.hub import ModelFiles
from runtime.token_bytes import token_bytes
from runtime.token_prefixes import TokenPrefixes
from runtime.tokenizer_files import TokenizerFiles

__all__ = ["Tokenizer"]


class Tokenizer:
    """A model's tokenizer. Immutable, and safe to share between threads.

    Args:
        backend: the library's tokenizer.
        vocab_size: rows of the model's output, where they are more than the tokens; ids beyond have no bytes.
        bos_token_id: begins a text, if the model knows such a token.
        adds_bos: whether the model was trained with it before every text.
        eos_token_ids: end a text; at least one.
        chat_template: Jinja source, if the model brings one.
        token_names: roles such as `bos_token` → token text, as chat templates ask for them.

    Raises:
        DamagedModel: there are more tokens than `vocab_size`, or an id lies outside.
        UnsupportedModel: no end token, or a kind of tokenizer that this runtime cannot take apart into bytes.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        vocab_size: int | None = None,
        bos_token_id: int | None = None,
        adds_bos: bool = False,
        eos_token_ids: Sequence[int] = (),
        chat_template: str | None = None,
        token_names: Mapping[str, str] | None = None,
    ) -> None:
        self._backend = backend
        self.chat_template = chat_template
        self.token_names = dict(token_names or {})
        self.bos_token_id = bos_token_id
        self.adds_bos = adds_bos and bos_token_id is not None
        self.eos_token_ids = tuple(dict.fromkeys(eos_token_ids))
        self.special_tokens = {
            token.content: index for index, token in backend.get_added_tokens_decoder().items() if token.special
        }
        table = token_bytes(backend)
        self.vocab_size = len(table) if vocab_size is None else vocab_size
        if len(table) > self.vocab_size:
            raise DamagedModel(f"the tokenizer has {len(table)} tokens, the model only {self.vocab_size}")
        if not self.eos_token_ids:
            raise UnsupportedModel("the tokenizer names no end token (eos_token)")
        for index in self.eos_token_ids if bos_token_id is None else (bos_token_id, *self.eos_token_ids):
            if not 0 <= index < self.vocab_size:
                raise DamagedModel(f"the tokenizer names token {index}, ids go from 0 to {self.vocab_size - 1}")
        for index in self.eos_token_ids:
            if index < len(table):
                table[index] = None  # it ends a text, so it is part of none
        self.token_bytes: tuple[bytes | None, ...] = (*table, *[None] * (self.vocab_size - len(table)))

    @classmethod
    def load(cls, files: ModelFiles, *, vocab_size: int | None = None) -> Tokenizer:
        """The tokenizer of a model.

        Raises:
            DamagedModel: its files are missing, unreadable or contradict each other.
            UnsupportedModel: a kind of tokenizer this runtime has no code for.
        """
        found = TokenizerFiles.read(files)
        try:
            return cls(
                found.backend,
                vocab_size=vocab_size,
                bos_token_id=found.bos_token_id,
                adds_bos=found.adds_bos,
                eos_token_ids=found.eos_token_ids,
                chat_template=found.chat_template,
                token_names=found.token_names,
            )
        except DamagedModel as error:
            raise DamagedModel(f"{files.path}: {error}") from error
        except UnsupportedModel as error:
            raise UnsupportedModel(f"{files.path}: {error}") from error

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary as grammars see it."""
        return Vocabulary(self.token_bytes, self.eos_token_ids, encode=self.encode_plain, special=self.special_tokens)

    @cached_property
    def shown_bytes(self) -> tuple[bytes | None, ...]:
        """`token_bytes` with special tokens standing for their names."""
        table = list(self.token_bytes)
        for name, token in self.special_tokens.items():
            table[token] = name.encode()
        return tuple(table)

    @cached_property
    def prefixes(self) -> TokenPrefixes:
        """The vocabulary in the order of its bytes."""
        return TokenPrefixes(self.token_bytes)

    def encode(self, text: str, *, add_bos: bool = False) -> list[int]:
        """Token ids of a text; special tokens written in it are recognised.

        Args:
            text: any text.
            add_bos: begin with the BOS token, unless the text does already or the model has none.
        """
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return self.begun(ids) if add_bos else ids

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of a text in which names of special tokens are text like any other."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        if not any(token in self._special_ids for token in ids):
            return ids
        plain: list[int] = self._plain_backend.encode(text, add_special_tokens=False).ids
        return plain

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        return frozenset(self.special_tokens.values())

    @cached_property
    def _plain_backend(self) -> Backend:
        """A copy of its own: what it recognises is a setting of the whole tokenizer, and others use that one."""
        twin = self.backend_copy()
        twin.encode_special_tokens = True
        return twin

    def backend_copy(self) -> Backend:
        """The tokenizer of `tokenizers` underneath, as a copy that its holder may change."""
        return Backend.from_str(self._backend.to_str())

    def encode_batch(self, texts: Sequence[str], *, add_bos: bool = False) -> list[list[int]]:
        """`encode` of many texts at once, on all cores."""
        found = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self.begun(encoding.ids) if add_bos else encoding.ids for encoding in found]

    def begun(self, ids: Sequence[int]) -> list[int]:
        """The ids with the BOS token before them, unless they begin with it or the model has none."""
        if self.bos_token_id is None or (ids and ids[0] == self.bos_token_id):
            return list(ids)
        return [self.bos_token_id, *ids]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """Text of token ids, as the model's own tokenizer writes it."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text
