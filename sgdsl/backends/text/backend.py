"""TextBackend: what backends of models that are asked for text have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sgdsl.backends.text.adapter import TextAdapter
from sgdsl.chat import ChatTemplate, chat_template_of
from sgdsl.errors import InvalidArgument

if TYPE_CHECKING:
    from sgdsl.backends.base import Capabilities
    from sgdsl.backends.text.model import TextModel
    from sgdsl.backends.text.session import TextSession

__all__ = ["TextBackend", "check_fields", "check_model"]


class TextBackend:
    """Hands out sessions of a text model, and ends them all.

    Args:
        model: its name.
        text_model: the model behind its client.
        chat_template: see `Mock`.
        concurrency: requests at once; more wait.
        api_key: what no message may show.
    """

    name: str
    fingerprint: str
    capabilities: Capabilities

    def __init__(
        self,
        model: str,
        text_model: TextModel,
        *,
        chat_template: ChatTemplate | str | None,
        concurrency: int,
        api_key: object,
    ) -> None:
        self._adapter = TextAdapter(self.name, text_model, concurrency=concurrency, api_key=api_key)
        self.model = model
        self.chat_template = chat_template_of(chat_template)

    def open(self, *, namespace: str = "", program: str = "") -> TextSession:
        """A new, empty session."""
        return self._adapter.open()

    def token_text(self, token: int) -> str:
        """The text of a token that log probabilities named."""
        return self._adapter.token_texts.text_of(token)

    def close(self) -> None:
        """Ends whatever is under way, and closes the client."""
        self._adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_model(model: object) -> None:
    """Refuses what is no name of a model.

    Raises:
        InvalidArgument: it is none.
    """
    if not isinstance(model, str) or not model:
        raise InvalidArgument(f"model={model!r} is not allowed: the name of a model")


def check_fields(extra_body: Any) -> dict[str, Any]:
    """The further fields of requests; none where nothing was given.

    Raises:
        InvalidArgument: they are no dict.
    """
    if extra_body is not None and not isinstance(extra_body, dict):
        raise InvalidArgument(f"extra_body={extra_body!r:.100} is not allowed: a dict of fields, or None")
    return extra_body or {}
