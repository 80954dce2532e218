"""TextAdapter: sessions for a model that is only asked for text. Backends of such models are made of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sgdsl.backends.api_key import veiled
from sgdsl.backends.text.client_loop import ClientLoop
from sgdsl.backends.text.session import TextSession
from sgdsl.backends.text.token_texts import TokenTexts
from sgdsl.errors import InvalidArgument

if TYPE_CHECKING:
    from sgdsl.backends.text.model import TextModel

__all__ = ["TextAdapter"]


class TextAdapter:
    """A model with the loop its client lives on; every session of it is worked off there, without a thread of its own.

    Args:
        name: the backend's, for messages.
        model: the model.
        concurrency: calls under way at once; more wait.
        api_key: what no message may show.
    """

    def __init__(self, name: str, model: TextModel, *, concurrency: int, api_key: object = None) -> None:
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise InvalidArgument(f"concurrency={concurrency!r} is not allowed: an integer of at least 1")
        self.name = name
        self._api_key = api_key
        self.model = model
        self.slots = asyncio.Semaphore(concurrency)
        self.token_texts = TokenTexts()
        self.loop = ClientLoop(name, model.close)

    def failure(self, error: Exception) -> Exception:
        """What a call failed with, as it may be shown."""
        return veiled(error, self._api_key)

    def open(self) -> TextSession:
        """A new, empty session."""
        return TextSession(self)

    def close(self) -> None:
        """Ends whatever is under way, and closes the client."""
        self.loop.close()
