"""The two protocols every grammar engine fulfils: `Grammar` (compiled, shared) and `Matcher` (one text's progress)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # whoever only writes specs down does not load numpy
    import numpy as np
    import numpy.typing as npt

__all__ = ["Grammar", "MaskRow", "Matcher"]

MaskRow: TypeAlias = "npt.NDArray[np.int32]"
"""Allowed tokens as packed bits: int32 [ceil(V / 32)], token t is bit t % 32 of word t // 32."""


class Matcher(Protocol):
    """Follows one text, token by token. Not thread-safe; owned by one request."""

    def mask_into(self, row: MaskRow) -> None:
        """Overwrites `row` (int32 [ceil(V / 32)]) with the tokens that may come next, end tokens included.

        Behind an end token only end tokens are allowed.
        """

    def accept(self, token: int) -> bool:
        """Advances by one token; False, and no change, when the grammar does not allow it.

        An end token is accepted where the text is complete, and leaves the matcher exhausted.
        """

    def forced(self) -> list[int]:
        """The tokens that must come next whatever the model says, canonically tokenized; empty when unknown."""

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last `num_tokens` accepted tokens; ValueError when there are fewer."""

    def fork(self) -> Matcher:
        """An independent matcher at the same point."""

    def is_complete(self) -> bool:
        """Whether the text so far is accepted as it stands."""

    def is_exhausted(self) -> bool:
        """Whether nothing but the end may follow."""


class Grammar(Protocol):
    """A spec compiled for one vocabulary. Immutable, shared by any number of matchers and threads."""

    warnings: tuple[str, ...]
    """Every relaxation this engine made of the spec, one sentence each."""

    @property
    def num_bytes(self) -> int:
        """Memory its tables take by now, about."""

    def matcher(self) -> Matcher:
        """A fresh matcher at the start of the text."""
